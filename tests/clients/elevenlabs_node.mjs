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

const spoken = [];
for await (const chunk of await client.textToSpeech.convert("heart", { text, outputFormat: "wav_24000" })) {
    spoken.push(chunk);
}
const files = [new Blob(spoken)];
await assert.rejects(client.voices.ivc.create({ name: "Anna Lind", files }), (error) => error.statusCode === 422);
const consent = { headers: { "X-Consent": "You%20may%20use%20it." } };
const { voiceId, warnings } = await client.voices.ivc.create({ name: "Anna Lind", files }, consent);
assert(Array.isArray(warnings));
assert.equal((await client.voices.get(voiceId)).name, "Anna Lind");
await client.voices.update(voiceId, { name: "Anna", description: "Reads letters." });
assert.equal((await client.voices.get("anna")).description, "Reads letters.");
await client.voices.delete(voiceId);
await assert.rejects(client.voices.get(voiceId), (error) => error.statusCode === 404);
const design = { voiceDescription: "A calm old man, close to the microphone." };
await assert.rejects(client.textToVoice.design(design), (error) => /models pull/.test(error.body.detail.message));

await assert.rejects(client.voices.get("nobody"), (error) => error.statusCode === 404);
console.log(`JavaScript: ${seconds.toFixed(1)} s of speech, times, a dialogue, the lists and a voice`);
