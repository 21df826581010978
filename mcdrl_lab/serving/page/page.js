'use strict';

// The page sends the chosen file with every question: the server keeps nothing.

const element = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)} %`;

let info = null;
let chosen = null; // { name, file }
let similarity = [];
let busy = false;
let wanted = null; // The last question that came up while another was answered.

async function fetchJson(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error('The server does not answer. Is python -m mcdrl_lab serve still running?');
  }
  if (response.ok) return response.json();
  const { error } = await response.json().catch(() => ({}));
  throw new Error(error || `The server refused: ${response.status} ${response.statusText}.`);
}

function showError(message) {
  element('error').textContent = message;
  element('error').hidden = !message;
}

// One question at a time; of those that come up meanwhile only the last is asked.
async function ask(path, show, fail = () => {}) {
  if (busy) {
    wanted = [path, show, fail];
    return;
  }
  busy = true;
  element('status').textContent = 'Working…';
  document.body.setAttribute('aria-busy', 'true');
  try {
    const answer = await fetchJson(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/octet-stream' },
      body: chosen.file,
    });
    // Of another image than the one chosen by now: not to be shown.
    if (!wanted || wanted[0] !== 'explain') show(answer);
    showError('');
  } catch (error) {
    fail();
    showError(`${chosen.name}: ${error.message}`);
  }
  busy = false;
  element('status').textContent = '';
  document.body.removeAttribute('aria-busy');
  if (wanted) {
    const next = wanted;
    wanted = null;
    ask(...next);
  }
}

function showPrediction(answer) {
  element('mask').src = answer.mask;
  element('probability').src = answer.probability;
  element('marked').textContent = percent(answer.marked);
  element('highest').textContent = answer.highest.toFixed(4);
  element('calibrated').hidden = !answer.calibrated;
  element('conformal-part').hidden = !answer.conformal;
  if (answer.conformal) {
    element('conformal').src = answer.conformal.picture;
    element('conformal-marked').textContent = percent(answer.conformal.marked);
  }
  element('results').dataset.gate = answer.gate;
}

function showSimilarity() {
  const shown = similarity[element('class').selectedIndex];
  element('similarity').src = shown.picture;
  element('similarity').alt = `Heat-map of the similarity to ${shown.name}`;
  element('low').textContent = shown.low.toFixed(3);
  element('high').textContent = shown.high.toFixed(3);
}

function showConfounders(confounders, attends) {
  const equal = 1 / confounders.length;
  element('weights-note').textContent = attends
    ? 'How the kept regions share their attention among the imaging conditions. A high '
      + 'share does not mean that one is present, only that it has more weight. Equal '
      + `shares would be ${percent(equal)} each.`
    : 'P(z) of each imaging condition: this model uses the same weights for all images.';
  const whole = Math.max(2 * equal, ...confounders.map((one) => one.weight));
  element('confounders').replaceChildren(...confounders.map(({ name, weight }) => {
    const row = document.createElement('li');
    const [label, track, bar, number] = ['span', 'div', 'div', 'span']
      .map((kind) => document.createElement(kind));
    label.textContent = name;
    track.className = 'track';
    bar.className = 'bar';
    bar.style.width = `${100 * weight / whole}%`;
    track.append(bar);
    number.className = 'weight';
    number.textContent = percent(weight);
    row.append(label, track, number);
    return row;
  }));
}

function showFlag(flag) {
  element('flag').hidden = !flag || !flag.unusual;
  if (element('flag').hidden) return;
  const parts = [];
  if (flag.more.length) parts.push(`more: ${flag.more.join(', ')}`);
  if (flag.less.length) parts.push(`less: ${flag.less.join(', ')}`);
  element('flag').textContent = 'Unusual image: it lies farther from the training images than '
    + `97.5 % of them do${parts.length ? ` (${parts.join('; ')})` : ''}. `
    + 'The prediction may still be right, but look at it closely.';
}

function showExplanation(answer) {
  showFlag(answer.flag);
  element('name').textContent = chosen.name;
  element('image').src = answer.image;
  element('size').textContent = `${answer.width} × ${answer.height} pixels`;
  element('kept').textContent = percent(answer.kept);
  const before = element('class').selectedIndex;
  similarity = answer.similarity;
  element('class').replaceChildren(...similarity.map((one) => new Option(one.name)));
  element('class').selectedIndex = Math.max(0, before);
  showSimilarity();
  showConfounders(answer.confounders, answer.attends);
  showPrediction(answer);
  setGate(answer.gate);
  enableGate(true);
  showResults(true);
}

function showResults(shown) {
  element('results').hidden = !shown;
  element('hint').hidden = shown;
}

function enableGate(enabled) {
  element('gate').disabled = !enabled;
  element('reset').disabled = !enabled;
}

function setGate(gate) {
  element('gate').value = gate;
  element('gate-value').textContent = Number(gate).toFixed(2);
}

function moveGate(gate) {
  setGate(gate);
  ask(`predict?gate=${gate}`, showPrediction);
}

function choose(name, file, pressed) {
  if (file.size > info.max_bytes) {
    showError(`${name}: The file is larger than ${info.max_bytes / 1e6} MB. Shrink the image.`);
    return;
  }
  for (const button of element('examples').children) {
    button.setAttribute('aria-pressed', String(button === pressed));
  }
  chosen = { name, file };
  enableGate(false); // It is of the image shown before.
  ask('explain', showExplanation, () => showResults(false));
}

async function chooseExample(number, button) {
  try {
    const response = await fetch(`examples/${number}`);
    choose(info.examples[number], await response.blob(), button);
  } catch {
    showError('The server does not answer. Is python -m mcdrl_lab serve still running?');
  }
}

function listExamples(names) {
  element('examples-part').hidden = names.length === 0;
  element('examples').replaceChildren(...names.map((name, number) => {
    const button = document.createElement('button');
    const picture = document.createElement('img');
    button.type = 'button';
    button.title = name;
    button.setAttribute('aria-pressed', 'false');
    picture.src = `examples/${number}/thumbnail`;
    picture.alt = name;
    button.append(picture);
    button.addEventListener('click', () => chooseExample(number, button));
    return button;
  }));
}

function listen() {
  const file = element('file');
  const drop = element('drop');
  file.addEventListener('change', () => {
    if (file.files.length) choose(file.files[0].name, file.files[0], null);
    file.value = ''; // So that the same file can be chosen again.
  });
  drop.addEventListener('dragover', (event) => {
    event.preventDefault();
    drop.classList.add('over');
  });
  drop.addEventListener('dragleave', () => drop.classList.remove('over'));
  drop.addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    const [dropped] = event.dataTransfer.files;
    if (dropped) choose(dropped.name, dropped, null);
  });
  element('gate').addEventListener('input', () => moveGate(element('gate').value));
  element('reset').addEventListener('click', () => moveGate(info.gate));
  element('class').addEventListener('change', showSimilarity);
}

async function start() {
  try {
    info = await fetchJson('info');
  } catch (error) {
    showError(error.message);
    return;
  }
  element('title').textContent = info.title;
  element('limit').textContent = `${info.max_bytes / 1e6} MB`;
  if (info.guarantee) {
    element('threshold').textContent = info.threshold;
    element('guarantee').textContent = `${info.guarantee} The guarantee holds for the gate as trained.`;
  }
  setGate(info.gate);
  listExamples(info.examples);
  listen();
}

start();
