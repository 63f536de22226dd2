// Keeps a subscription with the GraphiQL tab that started it. GraphiQL has room for one in all: it
// stops it when the tab is changed, or leaves it to the new tab, whose first click is then a stop.

import type { GraphiQLProps } from "graphiql";

type Tabs = Parameters<NonNullable<GraphiQLProps["onTabChange"]>>[0];
type Show = (answer: object, last: boolean) => void;

interface Subscription {
  tab: string;
  text: string;
  over: boolean;
  stopping: boolean;
  close(): void;
  unsubscribe(): void;
}

/** What the active tab shows, and where GraphiQL keeps it. */
interface Screen {
  write(text: string): void;
  remember(text: string): void;
}

export class Panes {
  #subscriptions = new Map<string, Subscription>();
  #active = "";
  #screen: Screen | null = null;

  bind(screen: Screen): void {
    this.#screen = screen;
  }

  /** Starts a subscription in the active tab. What it shows there waits while the tab is away. */
  open(start: (show: Show) => () => void): Subscription {
    const opened: Subscription = {
      tab: this.#active,
      text: "",
      over: false,
      stopping: false,
      close: () => {},
      unsubscribe: () => {
        // If GraphiQL stops it because the tab changes, it says so before this microtask.
        opened.stopping = true;
        queueMicrotask(() => opened.stopping && this.#drop(opened));
      },
    };
    this.#subscriptions.set(opened.tab, opened);
    opened.close = start((answer, last) => {
      if (this.#subscriptions.get(opened.tab) !== opened) return;
      opened.text = JSON.stringify(answer, null, 2);
      opened.over = last;
      if (opened.tab !== this.#active) return;
      this.#screen?.write(opened.text);
      this.#screen?.remember(opened.text); // Calls onTabChange in its turn.
    });
    return opened;
  }

  /** GraphiQL calls it with what it is about to put into its store: whatever is added goes there. */
  onTabChange = (tabs: Tabs): void => {
    const active = tabs.tabs[tabs.activeTabIndex];
    if (!active) return;
    const changed = active.id !== this.#active;
    this.#active = active.id;
    for (const held of this.#subscriptions.values()) {
      held.stopping = false;
      if (!tabs.tabs.some((tab) => tab.id === held.tab)) this.#drop(held);
    }

    const here = this.#subscriptions.get(active.id);
    if (changed && here) {
      this.#screen?.write(here.text);
      tabs.tabs = tabs.tabs.map((tab) => (tab === active ? { ...tab, response: here.text } : tab));
    }
    if (changed || here) {
      const subscription = here && !here.over ? here : null;
      Object.assign(tabs, { isFetching: false, subscription });
    }
    if (here?.over) this.#subscriptions.delete(here.tab);
  };

  closeAll(): void {
    for (const held of this.#subscriptions.values()) this.#drop(held);
  }

  #drop(held: Subscription): void {
    if (this.#subscriptions.get(held.tab) === held) this.#subscriptions.delete(held.tab);
    held.close();
  }
}
