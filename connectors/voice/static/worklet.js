// Two processors on the audio thread: one gathers the microphone's samples, one plays what came and reaches marks.

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.kept = new Float32Array(Math.round(sampleRate / 50)); // 20 ms
    this.filled = 0;
  }

  process([input]) {
    const samples = input[0];
    if (!samples) return true;
    for (const sample of samples) {
      this.kept[this.filled++] = sample;
      if (this.filled === this.kept.length) {
        this.port.postMessage(this.kept.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

class Speaker extends AudioWorkletProcessor {
  constructor() {
    super();
    this.queue = []; // Float32Array, or the name of a mark
    this.at = 0;
    this.port.onmessage = ({ data }) => {
      if (data === null) [this.queue, this.at] = [[], 0];
      else this.queue.push(data);
    };
  }

  process(_, [output]) {
    const samples = output[0];
    for (let place = 0; place < samples.length; ) {
      const next = this.queue[0];
      if (next === undefined) break;
      if (typeof next === "string") {
        this.port.postMessage(next);
        this.queue.shift();
        continue;
      }
      const some = Math.min(samples.length - place, next.length - this.at);
      samples.set(next.subarray(this.at, this.at + some), place);
      [place, this.at] = [place + some, this.at + some];
      if (this.at === next.length) {
        this.queue.shift();
        this.at = 0;
      }
    }
    if (typeof this.queue[0] === "string") this.port.postMessage(this.queue.shift());
    return true;
  }
}

registerProcessor("microphone", Microphone);
registerProcessor("speaker", Speaker);
