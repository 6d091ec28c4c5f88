"""How chaos, soak and crowd end: the account, and an exit status that says whose fault it was."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NoReturn

from deployment import InfrastructureError

from chaos.settling import report
from chaos.stage import EndlessError, Stage
from lambda_durable.local import CloudError

Account = dict[str, Any]


def play_and_tell(
    staged: AbstractContextManager[Stage],
    play: Callable[[Stage], Account],
    table: Callable[[Account], str],
    *,
    as_json: bool,
) -> NoReturn:
    """Play on a stage, and print the account. Exit status: 0, 1 if something is wrong, 3 if what it runs on failed."""
    try:
        with staged as stack:
            account = play(stack)
    except (CloudError, InfrastructureError) as error:
        report(f"INFRASTRUCTURE, not the product: {error}")
        sys.exit(3)
    except EndlessError as error:
        report(f"WRONG: {error}")
        sys.exit(1)
    print(json.dumps(account, indent=2) if as_json else table(account))
    sys.exit(1 if account["violations"] else 0)
