// Keeps a subscription with the GraphiQL tab that started it. GraphiQL itself supports one in all: a
// change of tabs stops it or moves it to the new tab, whose Execute button is then a Stop button.

import type { GraphiQLProps } from "graphiql";

type Tabs = Parameters<NonNullable<GraphiQLProps["onTabChange"]>>[0];
type Show = (result: object, isLast: boolean) => void;

interface Subscription {
  tab: string;
  text: string;
  isOver: boolean;
  isStopping: boolean;
  close(): void;
  unsubscribe(): void;
}

/** The response editor of the active tab, and where GraphiQL stores its text. */
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

  /** Starts a subscription in the active tab. Its results are kept while another tab is active. */
  open(start: (show: Show) => () => void): Subscription {
    const opened: Subscription = {
      tab: this.#active,
      text: "",
      isOver: false,
      isStopping: false,
      close: () => {},
      unsubscribe: () => {
        // If GraphiQL stops it because the tab changes, onTabChange is called before this microtask.
        opened.isStopping = true;
        queueMicrotask(() => opened.isStopping && this.#drop(opened));
      },
    };
    this.#subscriptions.set(opened.tab, opened);
    opened.close = start((result, isLast) => {
      if (this.#subscriptions.get(opened.tab) !== opened) return;
      opened.text = JSON.stringify(result, null, 2);
      opened.isOver = isLast;
      if (opened.tab !== this.#active) return;
      this.#screen?.write(opened.text);
      this.#screen?.remember(opened.text); // Calls onTabChange.
    });
    return opened;
  }

  /** Called by GraphiQL with the new state of its store. Changes made to it here are stored. */
  onTabChange = (tabs: Tabs): void => {
    const active = tabs.tabs[tabs.activeTabIndex];
    if (!active) return;
    const changed = active.id !== this.#active;
    this.#active = active.id;
    for (const subscription of this.#subscriptions.values()) {
      subscription.isStopping = false;
      if (!tabs.tabs.some((tab) => tab.id === subscription.tab)) this.#drop(subscription);
    }

    const here = this.#subscriptions.get(active.id);
    if (changed && here) {
      this.#screen?.write(here.text);
      tabs.tabs = tabs.tabs.map((tab) => (tab === active ? { ...tab, response: here.text } : tab));
    }
    if (changed || here) {
      const subscription = here && !here.isOver ? here : null;
      Object.assign(tabs, { isFetching: false, subscription });
    }
    if (here?.isOver) this.#subscriptions.delete(here.tab);
  };

  closeAll(): void {
    for (const subscription of this.#subscriptions.values()) this.#drop(subscription);
  }

  #drop(subscription: Subscription): void {
    const { tab } = subscription;
    if (this.#subscriptions.get(tab) === subscription) this.#subscriptions.delete(tab);
    subscription.close();
  }
}
