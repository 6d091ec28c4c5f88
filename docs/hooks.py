"""Of the site: a page for each file outside docs/ that a page links to. So a link works in the repository and there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

LINK = re.compile(r"(?<=\]\()(?!\w+:)[^)#\s]+(?=[)#])")
LANGUAGES = {".py": "python", ".yaml": "yaml", ".json": "json", ".toml": "toml"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    root = Path(config.docs_dir).parent
    linked = {
        target for page in files.documentation_pages() for _, target in _outside(page, page.content_string)
    }
    for target in sorted(linked):
        files.append(
            File.generated(
                config, _page_of(target), content=_shown(target, root), inclusion=InclusionLevel.NOT_IN_NAV
            )
        )
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    for link, target in _outside(page.file, markdown):
        to = posixpath.relpath(_page_of(target), posixpath.dirname(page.file.src_uri) or ".")
        markdown = markdown.replace(f"]({link}", f"]({to}")
    return markdown


def _outside(page: File, text: str) -> Iterator[tuple[str, str]]:
    """Links of a page that lead out of docs/, each with the path in the repository."""
    for link in set(LINK.findall(text)):
        target = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page.src_uri), link))
        if not target.startswith("docs/"):
            yield link, target


def _page_of(target: str) -> str:
    return f"files/{target}.md"


def _shown(target: str, root: Path) -> str:
    file = root / target
    if not file.is_file():
        raise FileNotFoundError(f"a page links to {target}, which is no file of the repository")
    code, language = file.read_text(encoding="utf-8"), LANGUAGES.get(file.suffix, "text")
    return f"---\nsearch: {{exclude: true}}\n---\n\n# {target}\n\n````{language}\n{code}````\n"
