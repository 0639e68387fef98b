// The page for calls: the microphone's samples go up as PCM16, the answer's come down, and marks say what was played.

const $ = (id) => document.getElementById(id);
const STAGES = {
  vad_stop: "pause noticed",
  eot: "turn over",
  asr_final: "words final",
  nlu: "answer known",
  llm_ttft: "first words of a generator",
  tts_ttfb: "first sound made",
  playout: "first sound sent",
};
let talk = null; // the call: socket, context, microphone, speaker

for (const key of ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"]) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = key;
  button.disabled = true;
  button.addEventListener("click", () => say({ type: "key", key }));
  $("pad").append(button);
}

fetch("/api/v1/about").then(async (answer) => {
  const { name, notice } = await answer.json();
  $("name").textContent = document.title = name;
  $("notice").textContent = notice;
});

$("call").addEventListener("click", () => (talk ? hangUp() : begin()));
$("hush").addEventListener("click", () => say({ type: "interrupt" }));
document.addEventListener("keydown", ({ key }) => key === "Escape" && say({ type: "interrupt" }));

// --- the call -------------------------------------------------------------------------------------------------

async function begin() {
  $("call").disabled = true;
  state("Asking for the microphone");
  try {
    talk = await connect();
    live(true);
    state("Connecting");
  } catch (error) {
    talk = null;
    state(`No call: ${error.message || error.name}`, true);
  }
  $("call").disabled = false;
}

async function connect() {
  const wanted = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
  const context = new AudioContext({ sampleRate: 16_000 });
  await context.audioWorklet.addModule("/voice/worklet.js");
  const microphone = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
  const speaker = new AudioWorkletNode(context, "speaker", { numberOfInputs: 0, outputChannelCount: [1] });
  context.createMediaStreamSource(stream).connect(microphone);
  speaker.connect(context.destination);
  const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/v1/voice`);
  socket.binaryType = "arraybuffer";
  const made = { stream, context, microphone, speaker, socket, text: $("own").checked };
  socket.onopen = () => {
    say({ type: "start", rate: context.sampleRate, speech: made.text ? "text" : "audio" });
    microphone.port.onmessage = ({ data }) => hear(made, data);
  };
  socket.onmessage = ({ data }) => (typeof data === "string" ? receive(JSON.parse(data)) : play(made, data));
  socket.onclose = ({ reason }) => ended(reason);
  speaker.port.onmessage = ({ data }) => say({ type: "mark", name: data });
  return made;
}

function hear({ socket }, samples) {
  if (socket.readyState !== WebSocket.OPEN || socket.bufferedAmount > 256_000) return;
  let power = 0;
  const whole = new Int16Array(samples.length);
  samples.forEach((sample, place) => {
    power += sample * sample;
    whole[place] = Math.max(-32_768, Math.min(32_767, Math.round(sample * 32_767)));
  });
  socket.send(whole.buffer);
  const level = 10 * Math.log10(power / samples.length + 1e-9);
  $("level").value = level;
  $("level").textContent = level < -45 ? "silent" : "sound";
}

function play({ speaker }, data) {
  const samples = Float32Array.from(new Int16Array(data), (sample) => sample / 32_768);
  speaker.port.postMessage(samples);
}

function say(frame) {
  if (talk?.socket.readyState === WebSocket.OPEN) talk.socket.send(JSON.stringify(frame));
}

function hangUp() {
  say({ type: "stop" });
  talk?.socket.close();
}

function ended(reason) {
  speechSynthesis.cancel();
  talk?.stream.getTracks().forEach((track) => track.stop());
  talk?.context.close();
  talk = null;
  live(false);
  state(reason ? `Call ended: ${reason}` : "Call ended");
}

// --- what the server tells ------------------------------------------------------------------------------------

function receive(frame) {
  switch (frame.type) {
    case "started":
      talk.text = frame.speech === "text";
      return state("Listening");
    case "mark":
      return talk?.speaker.port.postMessage(frame.name);
    case "clear":
      speechSynthesis.cancel();
      return talk?.speaker.port.postMessage(null);
    case "speech_started":
      return state("Hearing you");
    case "speech_stopped":
      return state("Thinking");
    case "partial":
      $("partial").textContent = frame.text;
      return;
    case "dropped":
      $("partial").textContent = "";
      return state("Listening");
    case "final":
      $("partial").textContent = "";
      return line("user", frame.text);
    case "say":
      if (talk?.text) speak(frame.text);
      state("Speaking");
      return line("bot", frame.text, frame.message);
    case "interrupted":
      $("log").lastElementChild?.classList.add("cut");
      return state("Listening");
    case "said":
      return state("Listening");
    case "latency":
      return times(frame.seconds);
    case "error":
      return state(frame.message, true);
  }
}

function speak(text) {
  speechSynthesis.speak(new SpeechSynthesisUtterance(text));
}

function line(who, text, message = "") {
  const last = $("log").lastElementChild;
  if (message && last?.dataset.message === message) {
    last.append(text);
    return;
  }
  const item = document.createElement("li");
  item.className = who;
  item.dataset.message = message;
  const speaker = document.createElement("span");
  speaker.className = "hush";
  speaker.textContent = who === "user" ? "You: " : "Assistant: ";
  item.append(speaker, text.trimStart());
  $("log").append(item);
  item.scrollIntoView({ block: "nearest" });
}

function times(seconds) {
  const most = Math.max(1, ...Object.values(seconds));
  const rows = Object.entries(seconds).sort(([, one], [, other]) => one - other);
  $("times").tBodies[0].replaceChildren(...rows.map(([stage, value]) => row(stage, value, most)));
}

function row(stage, seconds, most) {
  const made = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = STAGES[stage] ?? stage;
  const number = document.createElement("td");
  number.textContent = Math.round(seconds * 1000);
  const bar = document.createElement("progress");
  [bar.max, bar.value] = [most, seconds];
  bar.setAttribute("aria-label", `${name.textContent}: ${number.textContent} ms`);
  const cell = document.createElement("td");
  cell.append(bar);
  made.append(name, number, cell);
  return made;
}

function live(on) {
  $("call").textContent = on ? "End call" : "Start call";
  $("call").setAttribute("aria-pressed", String(on));
  $("hush").disabled = !on;
  $("own").disabled = on;
  for (const button of $("pad").children) button.disabled = !on;
  if (!on) $("level").value = -60;
}

function state(text, bad = false) {
  $("state").textContent = text;
  $("state").classList.toggle("bad", bad);
}
