// Numbers as people read them.

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export const whole = (number) => grouped.format(number);
/** A threshold: two digits, three where it has them. */
export const share = (number) => (Number.isInteger(Math.round(number * 1000) / 10) ? number.toFixed(2) : number.toFixed(3));

export const probability = (number) => number.toFixed(3);

/** A length in micrometers: µm below a millimeter, mm from there on. */
export function length(um) {
  return um < 1000 ? `${+um.toPrecision(3)} µm` : `${+(um / 1000).toPrecision(3)} mm`;
}

/** An area in mm², three figures. */
export const area = (mm2) => (mm2 === null ? null : `${+mm2.toPrecision(3)} mm²`);

/** Level-0 pixels as a place: "12,345, 678 px (3.00, 0.165 mm)", the millimeters only where they are known. */
export function place(x, y, mpp) {
  const pixels = `${whole(Math.floor(x))}, ${whole(Math.floor(y))} px`;
  return mpp === null ? pixels : `${pixels} (${(x * mpp / 1000).toFixed(3)}, ${(y * mpp / 1000).toFixed(3)} mm)`;
}

/** "3 lesions", "1 lesion". */
export const count = (number, noun) => `${whole(number)} ${noun}${number === 1 ? "" : "s"}`;
