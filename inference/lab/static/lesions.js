// The list of lesions found, by probability; choosing one goes there.

import { byId, element } from "./dom.js";
import { count, place, probability } from "./format.js";

const FIELD_UM = 1000; // across the view, around a lesion that was jumped to
const FIELD_PX = 4096; // where the slide does not tell its resolution

export class LesionList {
  #viewer;
  #overlay;
  #list = byId("lesions");
  #slide = null;
  #chosen = -1;

  constructor(viewer, overlay) {
    this.#viewer = viewer;
    this.#overlay = overlay;
  }

  open(slide) {
    this.#slide = slide;
    this.#chosen = -1;
    byId("lesions-note").textContent = this.#note();
    this.#list.replaceChildren(...slide.lesions.map((lesion, index) => this.#row(lesion, index)));
  }

  close() {
    this.#slide = null;
    this.#list.replaceChildren();
    byId("lesions-note").textContent = "";
  }

  #note() {
    const { heat, lesions } = this.#slide;
    if (!heat) return "Nothing of this slide was judged.";
    return lesions.length ? `${count(lesions.length, "lesion")}, most probable first` : "No lesion was found.";
  }

  #row(lesion, index) {
    const button = element(
      "button", { type: "button" },
      element("b", { textContent: String(index + 1) }),
      element("span", { textContent: probability(lesion.probability) }),
      element("small", { textContent: place(lesion.x, lesion.y, null) }),
    );
    button.addEventListener("click", () => this.choose(index));
    return element("li", {}, button);
  }

  /** Go to a lesion; closer where the view is wide, never away. */
  choose(index) {
    if (!this.#slide || !(index in this.#slide.lesions)) return;
    this.mark(index);
    const { x, y } = this.#slide.lesions[index];
    const field = this.#slide.mpp === null ? FIELD_PX : FIELD_UM / this.#slide.mpp;
    const zoom = Math.max(this.#viewer.view().zoom, Math.min(1, this.#viewer.side() / field));
    this.#viewer.go({ x, y, zoom });
  }

  /** Show which one is meant, without going there. */
  mark(index) {
    this.#chosen = index;
    this.#overlay.choose(index);
    [...this.#list.children].forEach((row, it) => row.firstChild.setAttribute("aria-current", String(it === index)));
    this.#list.children[index]?.scrollIntoView({ block: "nearest" });
  }

  /** The next (1) or the one before (-1), round and round. */
  step(by) {
    const all = this.#slide?.lesions.length ?? 0;
    if (!all) return;
    this.choose(this.#chosen < 0 ? (by > 0 ? 0 : all - 1) : (this.#chosen + by + all) % all);
  }
}
