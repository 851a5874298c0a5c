using System;
using System.Collections;
using UnityEngine;
using UnityEngine.Networking;

namespace Vivavoce
{
    /// <summary>Speaks a text as it is made: the first words are heard while the server works on the rest.</summary>
    [RequireComponent(typeof(AudioSource))]
    public sealed class VivavoceStream : MonoBehaviour
    {
        const int SampleRate = 24000; // what SpeechUrl asks for
        const int ClipSeconds = 1; // the clip goes round; the samples wait in the queue

        [Tooltip("The server, as its page shows it.")] public string server = "http://192.168.1.20:8000";
        [Tooltip("A name from /v1/tts/speakers; empty: the server chooses.")] public string speaker = "";
        [Tooltip("A name like English; empty: the text tells.")] public string language = "";
        [Range(0.25f, 4f)] public float speed = 1f;
        [Tooltip("Seconds of speech to wait for before the first is heard.")] public float startAfter = 0.2f;
        [Tooltip("SHA-256 of a self-signed certificate; empty otherwise.")] public string certificateSha256 = "";

        /// <summary>What went wrong, in the server's words where it has some.</summary>
        public event Action<string> Failed;

        /// <summary>All that came has been heard, which after a failure is not all of the text.</summary>
        public event Action Finished;

        SampleQueue queue = new SampleQueue(SampleRate);
        UnityWebRequest request;
        Coroutine speaking;

        /// <summary>Speaks `text` instead of what is being spoken.</summary>
        public void Speak(string text)
        {
            Cancel();
            speaking = StartCoroutine(Stream(text));
        }

        /// <summary>Falls silent at once; the server stops working on the text when its connection ends.</summary>
        public void Cancel()
        {
            if (speaking != null)
                StopCoroutine(speaking);
            speaking = null;
            Release();
            // Another queue, so that a chunk that is still on its way does not come into the next text.
            queue = new SampleQueue(SampleRate);
        }

        void OnDisable()
        {
            Cancel();
        }

        IEnumerator Stream(string text)
        {
            var samples = queue;
            var download = new PcmDownload(samples);
            request = new UnityWebRequest(SpeechUrl.Of(server, text, speaker, language, speed, "pcm", true), "GET");
            request.downloadHandler = download;
            download.Request = request;
            request.certificateHandler = PinnedCertificate.OrNull(certificateSha256);
            var sent = request.SendWebRequest();
            while (!sent.isDone && samples.Count < startAfter * SampleRate)
                yield return null;
            Play(samples);
            yield return sent;
            samples.Complete();
            if (request.result != UnityWebRequest.Result.Success)
                Failed?.Invoke($"{request.error} {download.Problem}");
            while (!samples.Drained)
                yield return null;
            yield return new WaitForSeconds(ClipSeconds * 0.5f); // Unity has read ahead of what is heard
            Release();
            speaking = null;
            Finished?.Invoke();
        }

        void Play(SampleQueue samples)
        {
            var source = GetComponent<AudioSource>();
            source.clip = AudioClip.Create("speech", ClipSeconds * SampleRate, 1, SampleRate, true, data => samples.Read(data));
            source.loop = true;
            source.Play();
        }

        void Release()
        {
            request?.Dispose(); // aborts it if it is still under way
            request = null;
            var source = GetComponent<AudioSource>();
            source.Stop();
            if (source.clip != null)
                Destroy(source.clip);
            source.clip = null;
        }
    }
}
