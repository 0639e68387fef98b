// The built-in page: one conversation over a WebSocket that resumes.
//
// The server's log is the truth. The page keeps only the conversation's id, the last seq it has shown and the messages
// that are not acknowledged yet; after a reload or a lost connection it says hello, gets what it missed and sends its
// outbox again under the same ids, so nothing is lost and nothing doubles.

import { link, render } from "/web/markdown.js";

const $ = (id) => document.getElementById(id);
const log = $("log");
const store = {
  get: (key, otherwise) => JSON.parse(localStorage.getItem(`understudy.${key}`) ?? "null") ?? otherwise,
  set: (key, value) => localStorage.setItem(`understudy.${key}`, JSON.stringify(value)),
  clear: () => ["conversation", "last_seq", "outbox", "ratings"].forEach((key) => localStorage.removeItem(`understudy.${key}`)),
};

let socket = null;
let conversation = store.get("conversation", "");
let shownSeq = 0; // in this page
const announcedSeq = store.get("last_seq", 0); // in an earlier one
let outbox = store.get("outbox", []);
let ready = false;
let tries = 0;
let timer = 0;
let asked = 0;
let settled = 0;
const drawn = new Map(); // client message id -> element
const drafts = new Map(); // turn -> element of an answer that is being worded

// --- connection -----------------------------------------------------------------------------------------------

async function connect() {
  clearTimeout(timer);
  try {
    if (!conversation) conversation = await begin();
  } catch {
    return again();
  }
  socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/v1/ws`);
  socket.onopen = () => say({ type: "hello", conversation, last_seq: shownSeq });
  socket.onmessage = ({ data }) => receive(JSON.parse(data));
  socket.onclose = again;
}

async function begin() {
  const answer = await fetch("/api/v1/conversations", { method: "POST" });
  if (!answer.ok) throw new Error("refused");
  const made = await answer.json();
  store.set("conversation", made.conversation);
  return made.conversation;
}

function again() {
  ready = false;
  clearTimeout(timer);
  const wait = Math.random() * Math.min(30_000, 500 * 2 ** tries++); // full jitter
  timer = setTimeout(connect, Math.max(250, wait));
  if (tries > 1) offline(true);
}

function offline(yes) {
  $("offline").hidden = !yes;
  $("offline").textContent = yes ? "No connection. Your messages are kept and sent when it is back." : "";
}

function say(frame) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

function receive(frame) {
  if (frame.type === "event") event(frame.event);
  else if (frame.type === "draft") draft(frame);
  else if (frame.type === "ack") mark(frame.id, "sent");
  else if (frame.type === "error") refused(frame);
  else if (frame.type === "resumed") resumed();
  else if (frame.type === "reset") reset();
}

function reset() {
  drafts.clear();
  shownSeq = asked = settled = 0;
  drawn.clear();
  log.replaceChildren();
  outbox.forEach(drawUser);
}

function resumed() {
  ready = true;
  tries = 0;
  offline(false);
  log.setAttribute("aria-busy", "false");
  outbox.filter((item) => item.state !== "failed").forEach(deliver);
  toBottom(true);
}

// --- messages of the user ---------------------------------------------------------------------------------------

function send(content) {
  const item = { id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, state: "sending", ...content };
  outbox.push(item);
  drawUser(item);
  deliver(item);
  toBottom(true);
}

function deliver(item) {
  const { id, text, payload, title } = item;
  item.state = "sending";
  keep();
  state(item.id, "sending");
  if (ready) say({ type: "message", id, ...(payload ? { payload, title } : { text }) });
}

function mark(id, now) {
  outbox = outbox.filter((item) => item.id !== id);
  keep();
  state(id, now);
}

function refused({ id, message, retry_after }) {
  const item = outbox.find((one) => one.id === id);
  if (!item) return;
  item.state = "failed";
  keep();
  state(id, "failed", message, retry_after === undefined ? null : item);
}

function keep() {
  store.set("outbox", outbox);
}

function state(id, now, why = "", retry = null) {
  const line = drawn.get(id)?.querySelector(".state");
  if (!line) return;
  line.className = `state ${now}`;
  line.replaceChildren({ sending: "Sending…", sent: "Sent", failed: `Not sent: ${why} ` }[now]);
  if (retry) line.append(button("Try again", () => deliver(retry)));
  drawn.get(id).classList.toggle("pending", now === "sending");
}

function drawUser({ id, text, payload, title, seq }) {
  const row = element("li", "user");
  row.append(element("span", "hush", "You: "), element("div", "bubble", title ?? text ?? payload), element("div", "state"));
  drawn.set(id, row);
  place(row, seq);
  return row;
}

// --- events of the conversation -----------------------------------------------------------------------------------

function event(one) {
  if (one.seq <= shownSeq) return;
  shownSeq = one.seq;
  store.set("last_seq", Math.max(shownSeq, store.get("last_seq", 0)));
  if (one.kind === "user") {
    asked = Math.max(asked, one.turn);
    const row = drawn.get(one.id) ?? drawUser({ ...one, seq: one.seq });
    place(row, one.seq);
    mark(one.id, "sent");
    retire();
  } else if (one.kind === "bot") {
    drawBot(one);
  } else {
    settled = Math.max(settled, one.turn);
  }
  typing();
}

function typing() {
  $("typing").hidden = settled >= asked;
  toBottom();
}

function draft({ turn, text }) {
  // Sentence by sentence; screen readers wait for the message itself.
  if (turn <= settled) return;
  const row = drafts.get(turn) ?? element("li", "bot draft");
  drafts.set(turn, row);
  row.setAttribute("aria-live", "off");
  const bubble = element("div", "bubble");
  bubble.append(render(text));
  row.replaceChildren(bubble);
  place(row);
  toBottom();
}

function drawBot({ seq, turn, message }) {
  drafts.get(turn)?.remove();
  drafts.delete(turn);
  const row = element("li", "bot");
  if (seq <= announcedSeq) row.setAttribute("aria-live", "off");
  const bubble = element("div", "bubble");
  const extras = [];
  for (const part of message.parts) draw(part, bubble, extras);
  row.append(element("span", "hush", "Assistant: "));
  if (bubble.childNodes.length) row.append(bubble);
  if (message.sources.length) row.append(sources(message.sources));
  row.append(...extras, thumbs(seq));
  retire();
  place(row, seq);
}

function draw(part, bubble, extras) {
  if (part.kind === "text") bubble.append(render(part.text));
  else if (part.kind === "image") bubble.append(paragraphWith(link(part.url, `Picture: ${part.alt || part.url}`)));
  else if (part.kind === "file") bubble.append(paragraphWith(part.url ? link(part.url, part.name) : part.name));
  else if (part.kind === "choices") extras.push(choices(part.options));
  else if (part.kind === "card") {
    bubble.append(paragraphWith(part.url ? link(part.url, part.title) : element("strong", "", part.title)), paragraphWith(part.subtitle));
    if (part.options.length) extras.push(choices(part.options));
  }
}

function choices(options) {
  const group = element("div", "choices");
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", "Suggested answers");
  for (const option of options) {
    const one = button(option.title, () => {
      if (one.getAttribute("aria-disabled") === "true") return;
      one.classList.add("chosen");
      send({ payload: option.payload, title: option.title });
      retire();
      $("text").focus();
    });
    group.append(one);
  }
  return group;
}

function retire() {
  // Only the latest message's buttons are still offered.
  for (const one of log.querySelectorAll(".choices button")) one.setAttribute("aria-disabled", "true");
}

function sources(found) {
  const box = element("div", "sources");
  box.append(element("span", "", found.length > 1 ? "Sources: " : "Source: "));
  found.forEach((source, index) => {
    if (index) box.append(", ");
    box.append(source.url ? link(source.url, source.title) : element("cite", "", source.title));
  });
  return box;
}

function thumbs(seq) {
  const box = element("div", "thumbs");
  const rated = store.get("ratings", {});
  const pair = [["Helpful", 1], ["Not helpful", -1]].map(([name, score]) => {
    const one = button("", () => rate(seq, score, pair));
    one.append(thumb(score));
    one.setAttribute("aria-label", name);
    one.title = name;
    one.dataset.score = score;
    one.setAttribute("aria-pressed", String(rated[seq] === score));
    return one;
  });
  box.append(...pair);
  return box;
}

function thumb(score) {
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", "M3 10h3.5v10H3zM8.5 10l4-7c1.6 0 2.6 1.1 2.4 2.7L14.3 9H20c.8 0 1.4.8 1.2 1.6l-1.8 7.6c-.2 1-1.1 1.8-2.2 1.8H8.5z");
  picture.setAttribute("viewBox", "0 0 24 24");
  picture.setAttribute("aria-hidden", "true");
  if (score < 0) picture.classList.add("down");
  picture.append(path);
  return picture;
}

async function rate(seq, score, pair) {
  const body = JSON.stringify({ seq, score });
  const answer = await fetch(`/api/v1/conversations/${conversation}/ratings`, { method: "POST", body }).catch(() => null);
  if (!answer?.ok) return;
  store.set("ratings", { ...store.get("ratings", {}), [seq]: score });
  for (const one of pair) one.setAttribute("aria-pressed", String(Number(one.dataset.score) === score));
}

// --- drawing ----------------------------------------------------------------------------------------------------

function place(row, seq) {
  // In the order of the log; what is not stored yet stays last.
  if (seq !== undefined) row.dataset.seq = seq;
  const own = Number(row.dataset.seq ?? Infinity);
  let before = null;
  for (let other = log.lastElementChild; other; other = other.previousElementSibling) {
    if (other === row) continue;
    if (Number(other.dataset.seq ?? Infinity) <= own) break;
    before = other;
  }
  if (row.parentNode !== log || row.nextElementSibling !== before) log.insertBefore(row, before);
}

function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

function paragraphWith(...children) {
  const made = element("p");
  made.append(...children);
  return made;
}

function button(text, action) {
  const made = element("button", "", text);
  made.type = "button";
  made.addEventListener("click", action);
  return made;
}

function toBottom(always = false) {
  const area = $("scroll");
  const near = area.scrollHeight - area.scrollTop - area.clientHeight < 160;
  if (near || always) area.scrollTop = area.scrollHeight;
}

// --- start ------------------------------------------------------------------------------------------------------

const text = $("text");

function grow() {
  text.style.height = "auto";
  text.style.height = `${Math.min(text.scrollHeight + 2, 160)}px`;
  $("send").disabled = !text.value.trim();
  store.set("draft", text.value);
}

text.addEventListener("input", grow);
text.addEventListener("keydown", (pressed) => {
  if (pressed.key === "Enter" && !pressed.shiftKey && !pressed.isComposing) {
    pressed.preventDefault();
    $("composer").requestSubmit();
  }
});
$("composer").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  const content = text.value.trim();
  if (!content) return;
  send({ text: content });
  text.value = "";
  grow();
  text.focus();
});
$("restart").addEventListener("click", () => {
  store.clear();
  location.reload();
});
addEventListener("online", () => {
  tries = 0;
  if (!ready) connect();
});

async function about() {
  const answer = await fetch("/api/v1/about").catch(() => null);
  if (!answer?.ok) return;
  const { name, notice } = await answer.json();
  $("name").textContent = document.title = name;
  $("notice").textContent = notice;
}

text.value = store.get("draft", "");
grow();
outbox.forEach(drawUser);
about();
connect();
