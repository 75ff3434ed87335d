// The page: a photograph in, sliders, a download. All that computes is in worker.js.
const SMALL = 2 ** 19; // pixels of the picture shown
const LARGE = 64e6; // pixels of the largest photograph

const at = (id) => document.getElementById(id);
const file = at("file"), drop = at("drop"), work = at("work"), save = at("save");
const before = at("before"), after = at("after");
const sliders = { split: at("split"), temperature: at("temperature"), saturation: at("saturation"), vividness: at("vividness") };
const chosen = ["temperature", "saturation", "vividness"]; // what the network is told
let asTrained = false; // weights that name no vividness keep that of their training until it is moved

let reading = 0; // of the file that was chosen last
let number = 0; // of the photograph being coloured; answers about earlier ones are dropped
let name = "photograph";
let busy = false; // painting
let stale = false; // settings have changed since it began

const worker = new Worker("worker.js", { type: "module" });
worker.onerror = (event) => {
  event.preventDefault();
  fail("The network cannot be loaded. Serve the page with: make demo-page");
};
worker.onmessage = ({ data }) => {
  if (data.number !== undefined && data.number !== number) return;
  answers[data.kind](data);
};

const answers = {
  ready({ about }) {
    for (const key of chosen) sliders[key].value = about[key] ?? 0;
    asTrained = about.vividness === null;
    at("vividness-setting").hidden = about.prior === null;
    showValues();
    at("about").textContent = `${about.network.name}, colorize ${about.colorize}, weights ${about.licence}`;
    if (number === 0) say("Ready.");
  },
  opened() {
    work.hidden = false;
    paint();
  },
  painted({ width, height, data }) {
    [after.width, after.height] = [width, height];
    after.getContext("2d").putImageData(new ImageData(data, width, height), 0, 0);
    busy = false;
    work.setAttribute("aria-busy", "false");
    document.body.dataset.painted = [number, ...chosen.map((key) => sliders[key].value)].join(" ");
    if (stale) paint();
    else if (!save.disabled) say("Coloured.");
  },
  progress({ share }) {
    say(`Colouring at full size: ${Math.round(100 * share)}%`);
  },
  saved({ blob }) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${name}-color.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60e3);
    save.disabled = false;
    say(`Saved as ${link.download}.`);
  },
  failed({ during, reason }) {
    busy = false;
    save.disabled = false;
    const memory = /memory|alloc|range/i.test(reason);
    if (during === "load") fail("The network cannot be loaded. Serve the page with: make demo-page");
    else if (memory) fail("The photograph is too large for this browser's memory. Scale it down.");
    else fail(`It could not be coloured: ${reason}`);
  },
};

async function open(blob) {
  const mine = ++reading;
  at("error").textContent = "";
  say("Reading the photograph …");
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob);
  } catch {
    if (mine === reading) fail(`${blob.name ?? "This"} is no picture that this browser can read.`);
    return;
  }
  if (mine !== reading) return;
  const { width, height } = bitmap;
  if (width * height > LARGE) {
    fail(`The photograph has ${Math.round((width * height) / 1e6)} megapixels, at most 64 can be coloured here.`);
    return;
  }
  name = (blob.name ?? "photograph").replace(/\.[^.]*$/, "");
  const scale = Math.min(1, Math.sqrt(SMALL / (width * height)));
  const sides = [width, height].map((side) => Math.max(1, Math.round(side * scale)));
  [before.width, before.height] = sides;
  const full = pixels(bitmap, new OffscreenCanvas(width, height), width, height);
  const small = pixels(bitmap, before, ...sides);
  bitmap.close();
  number = mine;
  busy = stale = false;
  save.disabled = false;
  say("Looking at the photograph …");
  worker.postMessage({ kind: "open", number, full, small }, [full.data.buffer, small.data.buffer]);
}

function pixels(bitmap, canvas, width, height) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  return { width, height, data: context.getImageData(0, 0, width, height).data };
}

const settings = () => ({
  number,
  temperature: Number(sliders.temperature.value),
  saturation: Number(sliders.saturation.value),
  vividness: asTrained ? -1 : Number(sliders.vividness.value),
});

function paint() {
  stale = busy;
  if (busy) return; // the newest settings follow when it is done
  busy = true;
  work.setAttribute("aria-busy", "true");
  worker.postMessage({ kind: "paint", ...settings() });
}

function showValues() {
  at("split-value").textContent = `${sliders.split.value}%`;
  for (const key of chosen) at(`${key}-value`).textContent = Number(sliders[key].value).toFixed(2);
  if (asTrained) at("vividness-value").textContent = "as trained";
  at("figure").style.setProperty("--split", `${sliders.split.value}%`);
}

function say(text) {
  at("status").textContent = text;
}

function fail(text) {
  say("");
  at("error").textContent = text;
}

file.addEventListener("change", () => {
  if (file.files.length) open(file.files[0]);
  file.value = ""; // the same file may be chosen again
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  drop.classList.add("over");
});
addEventListener("dragleave", () => drop.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const [dropped] = event.dataTransfer.files;
  if (dropped) open(dropped);
});
addEventListener("paste", (event) => {
  const [pasted] = event.clipboardData.files;
  if (pasted) open(pasted);
});
for (const key of chosen)
  sliders[key].addEventListener("input", () => {
    if (key === "vividness") asTrained = false;
    showValues();
    if (!work.hidden) paint();
  });
sliders.split.addEventListener("input", showValues);
const follow = (event) => {
  if (event.type === "pointermove" && !event.buttons) return;
  const { left, width } = before.getBoundingClientRect();
  sliders.split.value = Math.round((100 * (event.clientX - left)) / width);
  showValues();
};
for (const kind of ["pointerdown", "pointermove"]) at("figure").addEventListener(kind, follow);
save.addEventListener("click", () => {
  save.disabled = true;
  say("Colouring at full size …");
  worker.postMessage({ kind: "save", ...settings() });
});
at("settings").addEventListener("submit", (event) => event.preventDefault());
showValues();
