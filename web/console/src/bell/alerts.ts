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

export function useAlerts(notifications: readonly BellNotification<LiveEvent>[]) {
  const [preferences, setPreferences] = useStored("alerts", NONE);
  const newest = useRef<string | null>(null);
  const [permission, setPermission] = useState(hasDesktopApi ? Notification.permission : "denied");
  const hasDesktop = preferences.hasDesktop && permission === "granted";

  useEffect(() => {
    const [first] = notifications;
    if (!first) return;
    const known = newest.current;
    newest.current = first.cursor;
    // The notifications that were loaded first are not new.
    if (known === null || known === first.cursor) return;
    const end = notifications.findIndex(({ cursor }) => cursor === known);
    const added = notifications
      .slice(0, end < 0 ? 1 : end)
      .filter(({ event, read }) => !read && event.status === "OPEN");
    if (added.length === 0) return;
    if (preferences.hasSound) playSound();
    if (hasDesktop && document.hidden) {
      for (const { event } of added.slice(0, 3)) {
        new Notification(texts.severities[event.severity], { body: event.summary, tag: event.id });
      }
    }
  }, [notifications, preferences, hasDesktop]);

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
