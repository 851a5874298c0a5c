// The declarations of Unity that the package uses, so that a compiler can check it where there is no Unity. Nothing runs.
using System;
using System.Collections;

namespace UnityEngine
{
    public class Object
    {
        public static void Destroy(Object what) { throw new NotSupportedException(); }
    }

    public class Coroutine { }

    public class AsyncOperation
    {
        public bool isDone { get { throw new NotSupportedException(); } }
    }

    public class WaitForSeconds
    {
        public WaitForSeconds(float seconds) { }
    }

    public class MonoBehaviour : Object
    {
        public Coroutine StartCoroutine(IEnumerator routine) { throw new NotSupportedException(); }
        public void StopCoroutine(Coroutine routine) { throw new NotSupportedException(); }
        public T GetComponent<T>() { throw new NotSupportedException(); }
    }

    public class AudioClip : Object
    {
        public delegate void PCMReaderCallback(float[] data);

        public static AudioClip Create(string name, int lengthSamples, int channels, int frequency, bool stream)
        {
            throw new NotSupportedException();
        }

        public static AudioClip Create(
            string name, int lengthSamples, int channels, int frequency, bool stream, PCMReaderCallback reader)
        {
            throw new NotSupportedException();
        }

        public bool SetData(float[] data, int offsetSamples) { throw new NotSupportedException(); }
    }

    public class AudioSource : Object
    {
        public AudioClip clip { get; set; }
        public bool loop { get; set; }
        public void Play() { throw new NotSupportedException(); }
        public void Stop() { throw new NotSupportedException(); }
    }

    public class RequireComponent : Attribute
    {
        public RequireComponent(Type type) { }
    }

    public class TooltipAttribute : Attribute
    {
        public TooltipAttribute(string text) { }
    }

    public class RangeAttribute : Attribute
    {
        public RangeAttribute(float min, float max) { }
    }
}

namespace UnityEngine.Networking
{
    public abstract class CertificateHandler
    {
        protected virtual bool ValidateCertificate(byte[] certificateData) { throw new NotSupportedException(); }
    }

    public class DownloadHandler
    {
        public byte[] data { get { throw new NotSupportedException(); } }
        public string text { get { throw new NotSupportedException(); } }
    }

    public class DownloadHandlerScript : DownloadHandler
    {
        public DownloadHandlerScript(byte[] preallocatedBuffer) { }
        protected virtual bool ReceiveData(byte[] data, int dataLength) { throw new NotSupportedException(); }
    }

    public class UnityWebRequestAsyncOperation : AsyncOperation { }

    public class UnityWebRequest : IDisposable
    {
        public enum Result { InProgress, Success, ConnectionError, ProtocolError, DataProcessingError }

        public UnityWebRequest(string url, string method) { }
        public static UnityWebRequest Get(string uri) { throw new NotSupportedException(); }
        public UnityWebRequestAsyncOperation SendWebRequest() { throw new NotSupportedException(); }
        public DownloadHandler downloadHandler { get; set; }
        public CertificateHandler certificateHandler { get; set; }
        public Result result { get { throw new NotSupportedException(); } }
        public string error { get { throw new NotSupportedException(); } }
        public long responseCode { get { throw new NotSupportedException(); } }
        public void Dispose() { throw new NotSupportedException(); }
    }
}
