using System.Text;
using UnityEngine.Networking;

namespace Vivavoce
{
    /// <summary>Puts a download's samples into a queue as they come; of an answer that is an error it keeps the text.</summary>
    sealed class PcmDownload : DownloadHandlerScript
    {
        readonly SampleQueue queue;
        readonly Pcm16 pcm = new Pcm16();
        readonly StringBuilder problem = new StringBuilder();

        /// <summary>The request that this handles, which knows the status.</summary>
        public UnityWebRequest Request;

        public PcmDownload(SampleQueue queue) : base(new byte[16 * 1024])
        {
            this.queue = queue;
        }

        /// <summary>What the server said instead of speaking.</summary>
        public string Problem
        {
            get { return problem.ToString(); }
        }

        protected override bool ReceiveData(byte[] data, int dataLength)
        {
            if (Request.responseCode == 200)
                queue.Write(pcm.Read(data, dataLength));
            else
                problem.Append(Encoding.UTF8.GetString(data, 0, dataLength));
            return true;
        }
    }
}
