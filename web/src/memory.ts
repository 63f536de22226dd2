// What GraphiQL remembers from visit to visit: everything but headers, since they hold the key.
// Under a name of our own: another GraphiQL that once ran on this host and port left its tabs here.

const PREFIX = "tocsin:";
const WITH_HEADERS = /:(tabState|queries|favorites)$/;

function withoutHeaders(value: string): string {
  return JSON.stringify(JSON.parse(value), (name, held) => (name === "headers" ? null : held));
}

function places(): string[] {
  return Object.keys(localStorage).filter((place) => place.startsWith(PREFIX));
}

export const memory = {
  get length() {
    return places().length;
  },
  getItem: (name: string) => localStorage.getItem(PREFIX + name),
  setItem(name: string, value: string) {
    // GraphiQL leaves headers out of its tabs, yet its history keeps them.
    localStorage.setItem(PREFIX + name, WITH_HEADERS.test(name) ? withoutHeaders(value) : value);
  },
  removeItem: (name: string) => localStorage.removeItem(PREFIX + name),
  clear: () => places().forEach((place) => localStorage.removeItem(place)),
};
