// Light or dark: as the system says, until it is chosen here.

const KEY = "lambda-durable-theme";

export function restoreTheme() {
  const chosen = localStorage.getItem(KEY);
  if (chosen) document.documentElement.dataset.theme = chosen;
}

export function dark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

export function toggleTheme() {
  const chosen = dark() ? "light" : "dark";
  localStorage.setItem(KEY, chosen);
  document.documentElement.dataset.theme = chosen;
}
