// The color maps that the server paints with, for the legend: 17 colors each, from probability 0 to 1.

import { byId, element } from "./dom.js";

const spell = (text) => text.split(" ").map((it) => `#${it}`);

export const MAPS = {
  turbo: spell("30123b 4040a2 466be3 4294ff 28bceb 18ddc2 32f298 6dfe62 a4fc3c cdec34 eecf3a fdac34 fb7e21 eb500e d02f05 a91601 7a0403"),
  viridis: spell("440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725"),
  inferno: spell("000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d24644 e45a31 f1731d f98e09 fcac11 f9cb35 f2ea69 fcffa4"),
};

/** The bar of colors with its numbers; what the threshold hides is hatched. */
export function drawLegend(map, threshold) {
  byId("legend-colors").style.background = `linear-gradient(to right, ${MAPS[map].join(", ")})`;
  byId("legend-hidden").style.width = `${threshold * 100}%`;
  byId("legend-numbers").replaceChildren(...[0, 0.25, 0.5, 0.75, 1].map((it) => element("span", { textContent: String(it) })));
  byId("legend").setAttribute("aria-label", `Probability of tumor in the colors of ${map}, from 0 to 1; below ${threshold.toFixed(2)} nothing is shown`);
}
