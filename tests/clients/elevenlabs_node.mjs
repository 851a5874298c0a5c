// Let the SDK of ElevenLabs for JavaScript speak. The argument is the server's URL.
import assert from "node:assert/strict";
import { ElevenLabsClient } from "@elevenlabs/elevenlabs-js";

const client = new ElevenLabsClient({ baseUrl: process.argv[2], apiKey: "none" });
const text = "The lamp is on the table.";

async function bytes(stream) {
    let total = 0;
    for await (const chunk of stream) total += chunk.length;
    return total;
}

const outputFormat = "pcm_24000";
const seconds = (await bytes(await client.textToSpeech.convert("heart", { text, outputFormat }))) / 48_000;
assert(seconds > 1 && seconds < 4);
assert((await bytes(await client.textToSpeech.stream("heart", { text, outputFormat }))) / 48_000 > 1);

const timed = await client.textToSpeech.convertWithTimestamps("heart", { text, outputFormat });
assert.equal(timed.alignment.characters.join(""), text);
let told = "";
for await (const part of await client.textToSpeech.streamWithTimestamps("heart", { text, outputFormat })) {
    told += part.alignment?.characters.join("") ?? "";
}
assert.equal(told, text);

const inputs = [{ text: "Who goes there?", voiceId: "heart" }, { text: "It is me.", voiceId: "heart" }];
assert((await bytes(await client.textToDialogue.convert({ inputs, outputFormat }))) / 48_000 > 1);

const { voices } = await client.voices.search({ search: "heart" });
assert.equal(voices[0].voiceId, "heart");
assert((await client.models.list()).some((model) => model.modelId === "hibari"));
assert.equal((await client.user.subscription.get()).status, "active");
await assert.rejects(client.voices.get("nobody"), (error) => error.statusCode === 404);
console.log(`JavaScript: ${seconds.toFixed(1)} s of speech, times, a dialogue and the lists`);
