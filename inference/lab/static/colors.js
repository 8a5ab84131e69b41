// The color maps that the server paints with, for the legend: 17 colors each, from probability 0 to 1.

import { byId, element } from "./dom.js";
import { share } from "./format.js";

const spell = (text) => text.split(" ").map((it) => `#${it}`);

export const MAPS = {
  turbo: spell("30123b 4040a2 466be3 4294ff 28bceb 18ddc2 32f298 6dfe62 a4fc3c cdec34 eecf3a fdac34 fb7e21 eb500e d02f05 a91601 7a0403"),
  viridis: spell("440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725"),
  magma: spell("000004 0a0822 1d1147 36106b 51127c 6a1c81 832681 9c2e7f b73779 d0416f e75263 f56b5c fc8961 fea772 fec488 fde2a3 fcfdbf"),
  inferno: spell("000004 0b0724 210c4a 3d0965 57106e 71196e 8a226a a32c61 bc3754 d24644 e45a31 f1731d f98e09 fcac11 f9cb35 f2ea69 fcffa4"),
  plasma: spell("0d0887 310597 4c02a1 6600a7 7e03a8 9511a1 aa2395 bc3587 cc4778 da5a6a e66c5c f0804e f89540 fdac33 fdc527 f8df25 f0f921"),
  cividis: spell("00224e 002e6a 1a386f 32436d 434e6c 535a6d 61656f 6f7073 7d7c78 8c8878 9b9476 aba072 bcae6c cdbb63 dec958 f0d846 fee838"),
  hot: spell("0b0000 350000 5f0000 890000 b30000 dd0000 ff0800 ff3200 ff5c00 ff8600 ffb000 ffda00 ffff07 ffff46 ffff85 ffffc4 ffffff"),
  gray: spell("000000 101010 202020 303030 404040 505050 606060 707070 808080 909090 a0a0a0 b0b0b0 c0c0c0 d0d0d0 e0e0e0 f0f0f0 ffffff"),
};

/** The bar of colors with its numbers; what the threshold hides is hatched. */
export function drawLegend(map, threshold) {
  byId("legend-colors").style.background = `linear-gradient(to right, ${MAPS[map].join(", ")})`;
  byId("legend-hidden").style.width = `${threshold * 100}%`;
  byId("legend-numbers").replaceChildren(...[0, 0.25, 0.5, 0.75, 1].map((it) => element("span", { textContent: String(it) })));
  byId("legend").setAttribute("aria-label", `Probability of tumor in the colors of ${map}, from 0 to 1; below ${share(threshold)} nothing is shown`);
}
