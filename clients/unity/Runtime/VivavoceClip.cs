using System;
using System.Collections;
using UnityEngine;
using UnityEngine.Networking;

namespace Vivavoce
{
    /// <summary>Speaks a text as one clip: the whole of an exact WAV file, which is heard when all of it has come.</summary>
    [RequireComponent(typeof(AudioSource))]
    public sealed class VivavoceClip : MonoBehaviour
    {
        [Tooltip("The server, as its page shows it.")] public string server = "http://192.168.1.20:8000";
        [Tooltip("A name from /v1/tts/speakers; empty: the server chooses.")] public string speaker = "";
        [Tooltip("A name like English; empty: the text tells.")] public string language = "";
        [Range(0.25f, 4f)] public float speed = 1f;
        [Tooltip("SHA-256 of a self-signed certificate; empty otherwise.")] public string certificateSha256 = "";

        /// <summary>What went wrong, in the server's words where it has some.</summary>
        public event Action<string> Failed;

        UnityWebRequest request;
        Coroutine speaking;

        /// <summary>Speaks `text` instead of what is being spoken.</summary>
        public void Speak(string text)
        {
            Stop();
            speaking = StartCoroutine(Download(text));
        }

        /// <summary>Falls silent, and gives up a download.</summary>
        public void Stop()
        {
            if (speaking != null)
                StopCoroutine(speaking);
            speaking = null;
            Release();
            var source = GetComponent<AudioSource>();
            source.Stop();
            if (source.clip != null)
                Destroy(source.clip);
            source.clip = null;
        }

        void OnDisable()
        {
            Stop();
        }

        IEnumerator Download(string text)
        {
            request = UnityWebRequest.Get(SpeechUrl.Of(server, text, speaker, language, speed, "wav", false));
            request.certificateHandler = PinnedCertificate.OrNull(certificateSha256);
            yield return request.SendWebRequest();
            if (request.result == UnityWebRequest.Result.Success)
                Play(request.downloadHandler.data);
            else
                Failed?.Invoke($"{request.error} {request.downloadHandler.text}");
            Release();
            speaking = null;
        }

        void Play(byte[] file)
        {
            WavFile wav;
            try
            {
                wav = WavFile.Parse(file);
            }
            catch (FormatException problem)
            {
                Failed?.Invoke(problem.Message);
                return;
            }
            var source = GetComponent<AudioSource>();
            source.clip = AudioClip.Create("speech", wav.Samples.Length / wav.Channels, wav.Channels, wav.SampleRate, false);
            source.clip.SetData(wav.Samples, 0);
            source.Play();
        }

        void Release()
        {
            request?.Dispose(); // aborts it if it is still under way
            request = null;
        }
    }
}
