using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Net;
using System.Net.WebSockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace Vivavoce
{
    /// <summary>A text in two parts: what was heard before it was interrupted, and the rest.</summary>
    public sealed class HeardText
    {
        public readonly string Heard;
        public readonly string Unheard;

        public HeardText(string heard, string unheard)
        {
            Heard = heard;
            Unheard = unheard;
        }
    }

    /// <summary>What a server said instead of speaking.</summary>
    public sealed class SpeechException : Exception
    {
        public SpeechException(string message, Exception cause = null) : base(message, cause) { }
    }

    /// <summary>
    /// Speaks one text while it is written. Knows nothing of Unity. No method waits, so texts may follow each other at once;
    /// tasks fail with SpeechException.
    /// </summary>
    public sealed class LiveSpeech : IDisposable
    {
        public const int SampleRate = 24000;

        readonly ClientWebSocket socket = new ClientWebSocket();
        readonly CancellationTokenSource closing = new CancellationTokenSource();
        readonly TaskCompletionSource<HeardText> heard = Source<HeardText>();
        readonly TaskCompletionSource<bool> completion = Source<bool>();
        readonly Pcm16 pcm = new Pcm16();
        readonly Action<float[]> onSamples;
        readonly object gate = new object();
        TaskCompletionSource<bool> flushed;
        Task sent; // the latest message, and all before it
        volatile bool interrupted;

        /// <summary>
        /// Connects and begins. `onSamples` gets the audio as it comes, mono at SampleRate, on another thread.
        /// What is empty is left to the server.
        /// </summary>
        public LiveSpeech(string server, Action<float[]> onSamples, string speaker = "", string language = "", float speed = 1f,
            string apiKey = "")
        {
            this.onSamples = onSamples;
            if (apiKey != "")
                socket.Options.SetRequestHeader("Authorization", "Bearer " + apiKey);
            sent = Connect(server, apiKey);
            Receive(sent);
            string fields = speaker == "" ? "" : ",\"speaker\":" + Json.Quote(speaker);
            fields += language == "" ? "" : ",\"language\":" + Json.Quote(language);
            fields += FormattableString.Invariant($",\"speed\":{speed},\"sample_rate\":{SampleRate}");
            Send("begin", fields);
        }

        /// <summary>Ends when all of a complete text has come, or it was interrupted.</summary>
        public Task Completion
        {
            get { return completion.Task; }
        }

        /// <summary>Adds to the text, which is spoken as soon as a clause of it is complete.</summary>
        public void Write(string text)
        {
            Send("text", ",\"text\":" + Json.Quote(text));
        }

        /// <summary>
        /// Has all of the text so far spoken, also a word that may go on. The task ends when all of its audio has come.
        /// </summary>
        public Task Flush()
        {
            Send("flush", "");
            lock (gate)
            {
                if (flushed == null || flushed.Task.IsCompleted)
                    flushed = Source<bool>();
                return completion.Task.IsCompleted ? completion.Task : flushed.Task;
            }
        }

        /// <summary>Tells that the text is complete. It can be interrupted until all of its audio has come.</summary>
        public Task End()
        {
            Send("end", "");
            return Completion;
        }

        /// <summary>
        /// Stops, and tells what was heard in `playedMs` of the audio: null if the text had ended. No samples follow.
        /// </summary>
        public Task<HeardText> Interrupt(double playedMs)
        {
            interrupted = true;
            Send("interrupt", ",\"played_ms\":" + Math.Max(playedMs, 0).ToString("0.#", CultureInfo.InvariantCulture));
            return heard.Task;
        }

        /// <summary>Closes the connection; the server stops working on the text.</summary>
        public void Dispose()
        {
            closing.Cancel();
            socket.Dispose();
        }

        async Task Connect(string server, string apiKey)
        {
            try
            {
                await socket.ConnectAsync(new Uri(SpeechUrl.OfLive(server)), closing.Token).ConfigureAwait(false);
            }
            catch (WebSocketException problem)
            {
                throw new SpeechException(await Refusal(server, apiKey).ConfigureAwait(false) ?? Reason(problem), problem);
            }
        }

        /// <summary>Why the server does not speak, which a refused WebSocket does not tell, or null if it would.</summary>
        static async Task<string> Refusal(string server, string apiKey)
        {
            var request = WebRequest.CreateHttp(server.TrimEnd('/') + "/v1/tts/models");
            if (apiKey != "")
                request.Headers["Authorization"] = "Bearer " + apiKey;
            try
            {
                using (await request.GetResponseAsync().ConfigureAwait(false))
                    return null;
            }
            catch (WebException problem)
            {
                if (problem.Response == null)
                    return Reason(problem);
                using (var body = new StreamReader(problem.Response.GetResponseStream()))
                    return problem.Message + " " + await body.ReadToEndAsync().ConfigureAwait(false);
            }
        }

        void Send(string type, string fields)
        {
            var message = new ArraySegment<byte>(Encoding.UTF8.GetBytes("{\"type\":\"" + type + "\"" + fields + "}"));
            lock (gate)
                sent = SendAfter(sent, message);
        }

        async Task SendAfter(Task before, ArraySegment<byte> message)
        {
            try
            {
                await before.ConfigureAwait(false);
                if (!completion.Task.IsCompleted)
                    await socket.SendAsync(message, WebSocketMessageType.Text, true, closing.Token).ConfigureAwait(false);
            }
            catch (Exception problem)
            {
                Finish(problem);
            }
        }

        async void Receive(Task connected)
        {
            try
            {
                await connected.ConfigureAwait(false);
                while (!await ReceiveOne().ConfigureAwait(false)) { }
                Finish(null);
            }
            catch (Exception problem)
            {
                Finish(problem);
            }
        }

        /// <summary>Acts on the next message; returns whether it is the last.</summary>
        async Task<bool> ReceiveOne()
        {
            var whole = new MemoryStream();
            var part = new ArraySegment<byte>(new byte[16 * 1024]);
            WebSocketReceiveResult result;
            do
            {
                result = await socket.ReceiveAsync(part, closing.Token).ConfigureAwait(false);
                whole.Write(part.Array, 0, result.Count);
            }
            while (!result.EndOfMessage);
            if (result.MessageType == WebSocketMessageType.Close)
                throw new SpeechException("the server closed the connection: " + result.CloseStatusDescription);
            if (result.MessageType == WebSocketMessageType.Text)
                return Tell(Json.Parse(Encoding.UTF8.GetString(whole.GetBuffer(), 0, (int)whole.Length)));
            if (!interrupted)
                onSamples(pcm.Read(whole.GetBuffer(), (int)whole.Length));
            return false;
        }

        bool Tell(Dictionary<string, object> message)
        {
            switch ((string)message["type"])
            {
                case "flushed":
                    lock (gate)
                        flushed?.TrySetResult(true);
                    return false;
                case "interrupted":
                    foreach (Dictionary<string, object> text in (List<object>)message["contexts"])
                        heard.TrySetResult(new HeardText((string)text["heard"], (string)text["unheard"]));
                    return true;
                case "error":
                    throw new SpeechException((string)message["message"]);
                default:
                    return (string)message["type"] == "done" && !interrupted;
            }
        }

        void Finish(Exception problem)
        {
            lock (gate)
            {
                if (completion.Task.IsCompleted)
                    return;
                if (problem == null)
                {
                    completion.SetResult(true);
                    flushed?.TrySetResult(true);
                    heard.TrySetResult(null);
                }
                else
                {
                    var reason = problem as SpeechException ?? new SpeechException(Reason(problem), problem);
                    completion.SetException(reason);
                    flushed?.TrySetException(reason);
                    heard.TrySetException(reason);
                }
            }
            Dispose();
        }

        static string Reason(Exception problem)
        {
            return problem.InnerException == null ? problem.Message : problem.Message + ": " + Reason(problem.InnerException);
        }

        static TaskCompletionSource<T> Source<T>()
        {
            return new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }
}
