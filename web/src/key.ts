// The key arrives in the fragment, which a browser sends to nobody. Each tab keeps it for itself and
// tells it to the other open tabs of this page, so that it is forgotten with the last of them.

const PLACE = "tocsin:key";
const others = new BroadcastChannel(PLACE);

type Message = { asks: true } | { key: string };

const say = (message: Message) => others.postMessage(message);

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
  say({ key });
}

/** Answers other tabs from now on; a tab without a key asks them, and takes the first it hears. */
export function shareKey(take: (key: string) => void): () => void {
  const listen = ({ data }: MessageEvent<Message>) => {
    const held = sessionStorage.getItem(PLACE);
    if ("asks" in data) {
      if (held) say({ key: held });
    } else if (!held) {
      sessionStorage.setItem(PLACE, data.key);
      take(data.key);
    }
  };
  others.addEventListener("message", listen);
  if (!sessionStorage.getItem(PLACE)) say({ asks: true });
  return () => others.removeEventListener("message", listen);
}
