// The number of open notifications in the title and the icon of the page.

import { useEffect } from "react";
import { texts } from "../texts";

const icon = document.querySelector<HTMLLinkElement>("link[rel=icon]")!;
const plainIcon = icon.href;
const BELL =
  '<path fill="#d60590" d="M16 3a3 3 0 0 0-3 3v.5c-4.300 1.300-7 5-7 9.500v6l-2 3v1h24v-1l-2-3v-6c0-4.500-2.700-8.200-7-9.500V6a3 3 0 0 0-3-3zM13 28a3 3 0 0 0 6 0z"/>';

function iconWithCount(count: number): string {
  const label = count > 99 ? "99" : String(count);
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">${BELL}` +
    '<circle cx="22" cy="10" r="10" fill="#b3261e"/>' +
    `<text x="22" y="15" font-size="14" font-family="sans-serif" text-anchor="middle" fill="#fff">${label}</text></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

export function usePageCount(count: number): void {
  useEffect(() => {
    document.title = count > 0 ? texts.bell.pageTitle(count, texts.product) : texts.product;
    icon.href = count > 0 ? iconWithCount(count) : plainIcon;
    return () => {
      document.title = texts.product;
      icon.href = plainIcon;
    };
  }, [count]);
}
