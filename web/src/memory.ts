// What GraphiQL keeps between visits: everything except headers, because they contain the key. The
// prefix separates it from the tabs of another GraphiQL that once ran on this host and port.

const PREFIX = "tocsin:";
const WITH_HEADERS = /:(tabState|queries|favorites)$/;

function withoutHeaders(value: string): string {
  return JSON.stringify(JSON.parse(value), (name, item) => (name === "headers" ? null : item));
}

function storedNames(): string[] {
  return Object.keys(localStorage).filter((name) => name.startsWith(PREFIX));
}

export const memory = {
  get length() {
    return storedNames().length;
  },
  getItem: (name: string) => localStorage.getItem(PREFIX + name),
  setItem(name: string, value: string) {
    // GraphiQL omits headers from its tabs, but not from its history.
    localStorage.setItem(PREFIX + name, WITH_HEADERS.test(name) ? withoutHeaders(value) : value);
  },
  removeItem: (name: string) => localStorage.removeItem(PREFIX + name),
  clear: () => storedNames().forEach((name) => localStorage.removeItem(name)),
};
