// Makes a WAV file with exact sizes from received PCM.

const HEADER_BYTES = 44;

/** Return a 16-bit mono file. `chunks` are Uint8Arrays of little-endian samples. */
export function wavBlob(chunks, rateHz, comment = "") {
  const dataBytes = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  const info = comment ? infoOf(comment) : new Uint8Array();
  return new Blob([header(rateHz, dataBytes, info.byteLength), ...chunks, info], { type: "audio/wav" });
}

/** Return the comment as a LIST chunk of type INFO. */
function infoOf(comment) {
  const text = new TextEncoder().encode(`${comment}\0`);
  const padded = text.byteLength + (text.byteLength % 2);
  const view = new DataView(new ArrayBuffer(20 + padded));
  write(view, 0, "LIST");
  view.setUint32(4, 12 + padded, true);
  write(view, 8, "INFOICMT");
  view.setUint32(16, text.byteLength, true);
  const bytes = new Uint8Array(view.buffer);
  bytes.set(text, 20);
  return bytes;
}

function write(view, at, name) {
  [...name].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
}

function header(rateHz, dataBytes, infoBytes) {
  const view = new DataView(new ArrayBuffer(HEADER_BYTES));
  const tag = (at, name) => write(view, at, name);
  tag(0, "RIFF");
  view.setUint32(4, HEADER_BYTES - 8 + dataBytes + infoBytes, true);
  tag(8, "WAVE");
  tag(12, "fmt ");
  view.setUint32(16, 16, true); // bytes of this chunk
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, rateHz, true);
  view.setUint32(28, rateHz * 2, true); // bytes a second
  view.setUint16(32, 2, true); // bytes a frame
  view.setUint16(34, 16, true); // bits a sample
  tag(36, "data");
  view.setUint32(40, dataBytes, true);
  return view.buffer;
}
