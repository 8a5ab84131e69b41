// The bar that tells lengths on the screen.

import { byId } from "./dom.js";
import { length, whole } from "./format.js";

/** The longest of 1, 2, 5 times a power of ten that is not longer than `limit`. */
export function niceLength(limit) {
  const power = 10 ** Math.floor(Math.log10(limit));
  return [5, 2, 1].map((digit) => digit * power).find((it) => it <= limit * (1 + 1e-9));
}

/**
 * Draw the bar.
 *
 * zoom: screen pixels per level-0 pixel; mpp: micrometers per level-0 pixel or null; widest: of the bar, screen pixels.
 */
export function drawScale(zoom, mpp, widest = 140) {
  const perPixel = (mpp ?? 1) / zoom;
  const shown = niceLength(widest * perPixel);
  const text = mpp === null ? `${shown < 1 ? shown : whole(shown)} px` : length(shown);
  byId("scale-bar").style.width = `${shown / perPixel}px`;
  byId("scale-text").textContent = text;
}
