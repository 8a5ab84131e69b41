// The panel of layers: its inputs always show the look that is in force.

import { MAPS, drawLegend } from "./colors.js";
import { byId, element } from "./dom.js";
import { share } from "./format.js";

export const CHECKS = ["heat", "truth", "marks"];
const SLIDERS = ["opacity", "threshold"];

/** Events: `change` (detail: the part of the look that the user changed). */
export class Controls extends EventTarget {
  #runThreshold;

  constructor(runThreshold) {
    super();
    this.#runThreshold = runThreshold;
    byId("map").replaceChildren(...Object.keys(MAPS).map((name) => element("option", { value: name, textContent: name })));
    for (const name of CHECKS) byId(name).addEventListener("change", () => this.#tell({ [name]: byId(name).checked }));
    for (const name of SLIDERS) byId(name).addEventListener("input", () => this.#tell({ [name]: Number(byId(name).value) }));
    byId("map").addEventListener("change", () => this.#tell({ map: byId("map").value }));
    const reset = byId("threshold-run");
    reset.textContent = `back to the run's ${share(runThreshold)}`;
    reset.addEventListener("click", () => this.#tell({ threshold: runThreshold }));
  }

  #tell(part) {
    this.dispatchEvent(new CustomEvent("change", { detail: part }));
  }

  show(look) {
    for (const name of CHECKS) byId(name).checked = look[name];
    for (const name of SLIDERS) byId(name).value = String(look[name]);
    byId("opacity-value").textContent = `${Math.round(look.opacity * 100)} %`;
    byId("threshold-value").textContent = share(look.threshold);
    byId("threshold-run").hidden = look.threshold === this.#runThreshold;
    byId("map").value = look.map;
    byId("heat-controls").classList.toggle("off", !look.heat);
    drawLegend(look.map, look.threshold);
  }

  /** What this slide has none of. */
  tellMissing(slide) {
    byId("truth-note").textContent = slide && !slide.truth.length ? "This slide has no annotation." : "";
  }
}
