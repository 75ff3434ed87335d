// The network, away from the page so that it never freezes. Messages in: open, paint, save; each is answered.
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs";

const STRIP = 2 ** 18; // pixels painted at a time: bounds the memory of a large photograph

ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
ort.env.logLevel = "error";

const models = (async () => {
  const about = await (await fetch("build/about.json")).json();
  const looking = await ort.InferenceSession.create("build/looking.onnx");
  const painting = await ort.InferenceSession.create("build/painting.onnx");
  postMessage({ kind: "ready", about });
  return { looking, painting };
})();
models.catch((error) => postMessage({ kind: "failed", during: "load", reason: String(error) }));

let opened = null; // { number, full, small, seen }, the pictures as { width, height, data }

onmessage = async ({ data }) => {
  try {
    if (data.kind === "open") await open(data);
    else if (data.kind === "paint") await paint(data);
    else await save(data);
  } catch (error) {
    postMessage({ kind: "failed", during: data.kind, number: data.number, reason: String(error) });
  }
};

async function open({ number, full, small }) {
  for (const tensor of Object.values(opened?.seen ?? {})) tensor.dispose();
  opened = null;
  const { looking } = await models;
  const seen = await looking.run({ rgb: planes(full, 0, full.height) });
  opened = { number, full, small, seen };
  postMessage({ kind: "opened", number });
}

async function paint({ number, ...settings }) {
  if (opened?.number !== number) return;
  const { width, height, data } = await colored(opened.small, settings);
  postMessage({ kind: "painted", number, width, height, data }, [data.buffer]);
}

async function save({ number, ...settings }) {
  if (opened?.number !== number) return;
  const picture = await colored(opened.full, settings, (share) =>
    postMessage({ kind: "progress", number, share }),
  );
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  canvas.getContext("2d").putImageData(picture, 0, 0);
  postMessage({ kind: "saved", number, blob: await canvas.convertToBlob({ type: "image/png" }) });
}

async function colored(picture, settings, progress = () => {}) {
  const { painting } = await models;
  const { temperature, saturation, vividness } = settings;
  const { width, height } = picture;
  const result = new ImageData(width, height);
  const rows = Math.max(1, Math.floor(STRIP / width));
  for (let top = 0; top < height; top += rows) {
    const count = Math.min(rows, height - top);
    const output = await painting.run({
      rgb: planes(picture, top, count),
      ...opened.seen,
      top: new ort.Tensor("int64", [BigInt(top)], []),
      height: new ort.Tensor("int64", [BigInt(height)], []),
      temperature: new ort.Tensor("float32", [temperature], []),
      saturation: new ort.Tensor("float32", [saturation], []),
      vividness: new ort.Tensor("float32", [vividness], []),
    });
    const values = output.colored.data;
    const n = width * count;
    for (let i = 0, pixel = 4 * top * width; i < n; i++, pixel += 4) {
      for (let c = 0; c < 3; c++) result.data[pixel + c] = 255 * values[c * n + i]; // clamped and rounded
      result.data[pixel + 3] = picture.data[pixel + 3];
    }
    output.colored.dispose();
    progress((top + count) / height);
  }
  return result;
}

// Some rows as a tensor 1 3 h w with values from 0 to 1.
function planes({ width, data }, top, rows) {
  const n = width * rows;
  const values = new Float32Array(3 * n);
  for (let i = 0, pixel = 4 * top * width; i < n; i++, pixel += 4)
    for (let c = 0; c < 3; c++) values[c * n + i] = data[pixel + c] / 255;
  return new ort.Tensor("float32", values, [1, 3, rows, width]);
}
