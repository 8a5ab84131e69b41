// Buttons of the magnifications that pathologists think in.

import { byId, element } from "./dom.js";
import { powerOf } from "./facts.js";

const POWERS = [5, 10, 20, 40];

export class Powers {
  #viewer;
  #buttons;

  constructor(viewer) {
    this.#viewer = viewer;
    this.#buttons = POWERS.map((power) => {
      const button = element("button", { type: "button", textContent: `${power}×`, title: `About ${power}× (${POWERS.indexOf(power) + 1})` });
      button.addEventListener("click", () => this.go(power));
      return button;
    });
    byId("powers").replaceChildren(...this.#buttons);
  }

  /** Without a known resolution there is no magnification. */
  open(slide) {
    byId("powers").hidden = slide.mpp === null;
  }

  /** Go to a magnification, the same place in the middle. */
  go(power) {
    const { slide } = this.#viewer;
    if (slide && slide.mpp !== null) this.#viewer.go({ ...this.#viewer.view(), zoom: (slide.mpp * power) / powerOf(1) });
  }

  /** The n-th button, from 0. */
  press(index) {
    this.go(POWERS[index]);
  }

  show(zoom, mpp) {
    const now = mpp === null ? null : powerOf(mpp / zoom);
    byId("power").textContent = now === null ? "" : `${+now.toPrecision(2)}×`;
    POWERS.forEach((power, index) => this.#buttons[index].setAttribute("aria-pressed", String(now !== null && Math.abs(now / power - 1) < 0.02)));
  }
}
