// The key arrives in the fragment, which a browser sends to nobody, and stays with this one tab.

const PLACE = "tocsin:key";

export function currentKey(): string | null {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) {
    keepKey(given);
    history.replaceState(history.state, "", location.pathname + location.search);
  }
  return sessionStorage.getItem(PLACE);
}

export function keepKey(key: string): void {
  sessionStorage.setItem(PLACE, key);
}

export function forgetKey(): void {
  sessionStorage.removeItem(PLACE);
}
