// Small pictures in the list: only of the rows in sight, two at a time, and never before the slide itself.

import { slideUrl } from "./server.js";

const AT_ONCE = 2;

export class Thumbs {
  #waiting = new Set();
  #loading = 0;
  #open = false;
  #watch;

  constructor(list) {
    this.#watch = new IntersectionObserver((seen) => this.#see(seen), { root: list, rootMargin: "80px" });
  }

  /** Fill an <img> with a slide's picture once it comes in sight. */
  add(image, id) {
    image.dataset.slide = id;
    this.#watch.observe(image);
  }

  /** From now on pictures may load. */
  start() {
    this.#open = true;
    this.#next();
  }

  #see(seen) {
    for (const { target, isIntersecting } of seen) {
      if (isIntersecting) this.#waiting.add(target);
      else this.#waiting.delete(target);
    }
    this.#next();
  }

  #next() {
    for (const image of this.#waiting) {
      if (!this.#open || this.#loading >= AT_ONCE) return;
      this.#waiting.delete(image);
      this.#watch.unobserve(image);
      this.#load(image);
    }
  }

  #load(image) {
    this.#loading += 1;
    const done = () => {
      this.#loading -= 1;
      this.#next();
    };
    image.addEventListener("load", done, { once: true });
    image.addEventListener("error", () => { image.removeAttribute("src"); done(); }, { once: true });
    image.src = slideUrl(image.dataset.slide, "thumbnail.jpg");
  }
}
