// Sounds and desktop notifications for new notifications, both only after the reader has allowed them.

import type { BellNotification, LiveEvent } from "@tocsin/react";
import { useEffect, useRef, useState } from "react";
import { useStored } from "../common/stored";
import { texts } from "../texts";

interface AlertPreferences {
  hasSound: boolean;
  hasDesktop: boolean;
}

const NONE: AlertPreferences = { hasSound: false, hasDesktop: false };
const hasDesktopApi = "Notification" in window;

export function useAlerts(notifications: readonly BellNotification<LiveEvent>[], isLoading: boolean) {
  const [preferences, setPreferences] = useStored("alerts", NONE);
  /** Cursors of the notifications that were there before. Null until they are loaded. */
  const known = useRef<ReadonlySet<string> | null>(null);
  const [permission, setPermission] = useState(() => (hasDesktopApi ? Notification.permission : "denied"));
  const hasDesktop = preferences.hasDesktop && permission === "granted";

  useEffect(() => {
    if (isLoading) return;
    const before = known.current;
    known.current = new Set(notifications.map(({ cursor }) => cursor));
    // The notifications that were loaded first are not new, and those below known ones are older.
    if (before === null) return;
    const end = notifications.findIndex(({ cursor }) => before.has(cursor));
    // If none is known, the list was empty, or older ones have replaced those that were deleted.
    const count = end >= 0 ? end : before.size === 0 ? notifications.length : 1;
    const added = notifications
      .slice(0, count)
      .filter(({ event, read }) => !read && event.status === "OPEN");
    if (added.length === 0) return;
    if (preferences.hasSound) playSound();
    if (hasDesktop && document.hidden) {
      for (const { event } of added.slice(0, 3)) {
        new Notification(texts.severities[event.severity], { body: event.summary, tag: event.id });
      }
    }
  }, [notifications, isLoading, preferences, hasDesktop]);

  return {
    hasSound: preferences.hasSound,
    hasDesktop,
    isDenied: permission === "denied",
    setSound(hasSound: boolean): void {
      setPreferences({ ...preferences, hasSound });
      if (hasSound) playSound();
    },
    setDesktop(isWanted: boolean): void {
      if (!isWanted) return setPreferences({ ...preferences, hasDesktop: false });
      void Notification.requestPermission().then((answer) => {
        setPermission(answer);
        setPreferences({ ...preferences, hasDesktop: answer === "granted" });
      });
    },
  };
}

/** A short tone. Browsers play it only after the reader has used the page. */
function playSound(): void {
  const audio = new AudioContext();
  const tone = audio.createOscillator();
  const volume = audio.createGain();
  volume.gain.setValueAtTime(0.2, audio.currentTime);
  volume.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + 0.6);
  tone.frequency.value = 880;
  tone.connect(volume).connect(audio.destination);
  tone.onended = () => void audio.close();
  tone.start();
  tone.stop(audio.currentTime + 0.6);
}
