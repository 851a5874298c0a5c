using System;
using System.Collections;
using System.Threading.Tasks;
using UnityEngine;

namespace Vivavoce
{
    /// <summary>Speaks a text while it is written, such as the answer of a language model, and can be interrupted.</summary>
    [RequireComponent(typeof(AudioSource))]
    public sealed class VivavoceLive : MonoBehaviour
    {
        const int ClipSeconds = 1; // the clip goes round; the samples wait in the queue

        [Tooltip("The server, as its page shows it.")] public string server = "http://192.168.1.20:8000";
        [Tooltip("A name from /v1/tts/speakers; empty: the server chooses.")] public string speaker = "";
        [Tooltip("A name like English; empty: the text tells.")] public string language = "";
        [Range(0.25f, 4f)] public float speed = 1f;
        [Tooltip("Only if the server asks for one.")] public string apiKey = "";

        /// <summary>What went wrong, in the server's words where it has some.</summary>
        public event Action<string> Failed;

        /// <summary>All of a text that was finished has been heard.</summary>
        public event Action Finished;

        SampleQueue queue = new SampleQueue(LiveSpeech.SampleRate);
        LiveSpeech live;
        Task flushed; // null until the text is finished
        long played; // samples

        /// <summary>Adds to the text, or begins one.</summary>
        public void Write(string text)
        {
            if (live == null)
                Begin();
            flushed = null;
            live.Write(text);
        }

        /// <summary>Has the last words spoken. Until they are heard, more may be written, or all interrupted.</summary>
        public void Finish()
        {
            flushed = live?.Flush();
        }

        /// <summary>Falls silent at once, and tells `then` what was heard, or null if nobody knows.</summary>
        public void Interrupt(Action<HeardText> then)
        {
            if (live == null)
                return;
            var interrupted = live;
            var heard = interrupted.Interrupt(1000.0 * played / LiveSpeech.SampleRate);
            live = null;
            Silence();
            StartCoroutine(Tell(interrupted, heard, then));
        }

        void OnDisable()
        {
            live?.Dispose();
            live = null;
            Silence();
        }

        void Begin()
        {
            Silence();
            var samples = queue;
            live = new LiveSpeech(server, samples.Write, speaker, language, speed, apiKey);
            Play(samples);
            StartCoroutine(Watch(live, samples));
        }

        /// <summary>Ends the text when it has been heard: the server would forget what could be interrupted.</summary>
        IEnumerator Watch(LiveSpeech watched, SampleQueue samples)
        {
            while (live == watched && !watched.Completion.IsCompleted)
            {
                if (flushed != null && flushed.IsCompleted && samples.Count == 0)
                    break;
                yield return null;
            }
            if (live != watched)
                yield break; // it was interrupted
            string problem = watched.Completion.IsFaulted ? watched.Completion.Exception.InnerException.Message : null;
            yield return new WaitForSeconds(ClipSeconds * 0.5f); // Unity has read ahead of what is heard
            if (live != watched)
                yield break;
            watched.Dispose();
            live = null;
            Silence();
            if (problem != null)
                Failed?.Invoke(problem);
            else
                Finished?.Invoke();
        }

        static IEnumerator Tell(LiveSpeech interrupted, Task<HeardText> heard, Action<HeardText> then)
        {
            while (!heard.IsCompleted)
                yield return null;
            interrupted.Dispose();
            then(heard.IsFaulted ? null : heard.Result);
        }

        void Play(SampleQueue samples)
        {
            var source = GetComponent<AudioSource>();
            source.clip = AudioClip.Create("speech", ClipSeconds * LiveSpeech.SampleRate, 1, LiveSpeech.SampleRate, true,
                data => played += samples.Read(data));
            source.loop = true;
            source.Play();
        }

        void Silence()
        {
            queue = new SampleQueue(LiveSpeech.SampleRate);
            flushed = null;
            played = 0;
            var source = GetComponent<AudioSource>();
            source.Stop();
            if (source.clip != null)
                Destroy(source.clip);
            source.clip = null;
        }
    }
}
