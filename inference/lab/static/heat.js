// The heatmap as a layer over the slide.

import { afterSilence } from "./dom.js";
import { slideUrl } from "./server.js";

const SETTLE = 120; // ms without a change before new colors are asked for
const PATIENCE = 1500; // ms after which new colors are shown even where some tiles are still missing

/**
 * The tile source of a heatmap pyramid whose levels halve, rounding up.
 *
 * A coarse level's last pixel may lie half outside the picture, so the place of a tile follows from its true pixels.
 */
export function heatSource(slide, map, threshold) {
  const { slide_id: id, heat, version } = slide;
  const { tile_size: side, levels } = heat;
  const last = levels.length - 1;
  const pixels = (level, column, row) => {
    const [width, height] = levels[last - level];
    return [Math.min(side, width - column * side), Math.min(side, height - row * side)];
  };
  const query = { map, threshold, v: version?.heat };
  return {
    width: heat.width,
    height: heat.height,
    tileSize: side,
    tileOverlap: 0,
    minLevel: 0,
    maxLevel: last,
    hasTransparency: () => true,
    getTileUrl: (level, column, row) => slideUrl(id, `heat/${last - level}/${column}_${row}.png`, query),
    getTileBounds(level, column, row, isSource) {
      const [width, height] = pixels(level, column, row);
      if (isSource) return new OpenSeadragon.Rect(0, 0, width, height);
      const unit = 2 ** (last - level) / heat.width;
      return new OpenSeadragon.Rect(column * side * unit, row * side * unit, width * unit, height * unit);
    },
  };
}

export class HeatLayer {
  #viewer;
  #slide = null;
  #look = { heat: true, opacity: 0.5, map: "turbo", threshold: 0 };
  #shown = null;
  #coming = null;
  #wish = 0;
  #recolor = afterSilence(SETTLE, () => this.#load());

  constructor(viewer) {
    this.#viewer = viewer;
  }

  /** Lay a slide's heatmap over it; the world was emptied when the slide was opened. */
  open(slide, look) {
    this.#slide = slide;
    this.#look = { ...look };
    this.#shown = this.#coming = null;
    this.#load();
  }

  close() {
    this.#wish += 1;
    this.#slide = this.#shown = this.#coming = null;
  }

  /** Take over another look: opacity at once, colors when the user rests. */
  change(look) {
    const before = this.#look;
    this.#look = { ...look };
    this.#shown?.setOpacity(this.#opacity());
    if (this.#slide && (before.map !== look.map || before.threshold !== look.threshold)) this.#recolor();
  }

  #opacity = () => (this.#look.heat ? this.#look.opacity : 0);

  #load() {
    const wish = (this.#wish += 1);
    this.#remove(this.#coming);
    this.#coming = null;
    if (!this.#slide?.heat) return;
    const { width, heat } = this.#slide;
    this.#viewer.addTiledImage({
      tileSource: heatSource(this.#slide, this.#look.map, this.#look.threshold),
      x: 0,
      y: 0,
      width: (heat.width * heat.downsample) / width,
      opacity: this.#shown ? 0 : this.#opacity(),
      preload: this.#shown !== null && this.#look.heat,
      success: ({ item }) => (wish === this.#wish ? this.#arrive(item) : this.#remove(item)),
    });
  }

  // The old colors stay until the new ones are there, so nothing flickers.
  #arrive(item) {
    if (!this.#shown || !this.#look.heat) return this.#show(item);
    this.#coming = item;
    const show = () => { if (this.#coming === item) this.#show(item); };
    item.addHandler("fully-loaded-change", ({ fullyLoaded }) => { if (fullyLoaded) show(); });
    if (item.getFullyLoaded()) show();
    setTimeout(show, PATIENCE);
  }

  #show(item) {
    const old = this.#shown;
    this.#shown = item;
    this.#coming = null;
    item.setPreload(false);
    item.setOpacity(this.#opacity());
    this.#remove(old);
  }

  #remove(item) {
    if (item && this.#viewer.world.getIndexOfItem(item) !== -1) this.#viewer.world.removeItem(item);
  }
}
