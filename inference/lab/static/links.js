// A view as the part of the address after #, and back.

import { MAPS } from "./colors.js";

const between = (low, high) => (text) => {
  const number = Number(text);
  return text.trim() !== "" && number >= low && number <= high ? number : undefined;
};
const place = between(-1e9, 1e9);
const share = between(0, 1);
const flag = (text) => ({ 0: false, 1: true })[text];

const READERS = {
  slide: (text) => text || undefined,
  x: place,
  y: place,
  zoom: between(1e-9, 1e3),
  heat: flag,
  opacity: share,
  threshold: share,
  map: (text) => (text in MAPS ? text : undefined),
  truth: flag,
  marks: flag,
};

/**
 * What a link tells. Unknown names and values that make no sense are left out.
 *
 * x, y: middle of the view, level-0 pixels; zoom: screen pixels per level-0 pixel.
 */
export function readLink(hash) {
  const view = {};
  for (const [name, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
    const value = READERS[name]?.(text);
    if (value !== undefined) view[name] = value;
  }
  return view;
}

/** The link of a view: the reverse of readLink. */
export function writeLink(view) {
  const told = new URLSearchParams();
  for (const name of Object.keys(READERS)) {
    const value = view[name];
    if (value === undefined || value === null) continue;
    told.set(name, typeof value === "boolean" ? String(Number(value)) : String(value));
  }
  return `#${told}`;
}
