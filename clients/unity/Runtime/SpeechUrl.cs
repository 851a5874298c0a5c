using System;
using System.Globalization;
using System.Text;

namespace Vivavoce
{
    /// <summary>The URLs of speech on a vivavoce server. Knows nothing of Unity.</summary>
    public static class SpeechUrl
    {
        /// <summary>The URL to GET; what is empty is left to the server to choose.</summary>
        public static string Of(string server, string text, string speaker, string language, float speed, string format, bool stream)
        {
            var url = new StringBuilder(server.TrimEnd('/') + "/v1/tts/synthesize?text=" + Uri.EscapeDataString(text));
            Add(url, "speaker", speaker);
            Add(url, "language", language);
            Add(url, "speed", speed.ToString("0.###", CultureInfo.InvariantCulture));
            Add(url, "format", format);
            Add(url, "stream", stream ? "true" : "false");
            Add(url, "sample_rate", "24000");
            return url.ToString();
        }

        /// <summary>The URL of live speech, whose scheme is ws or wss as the server's is http or https.</summary>
        public static string OfLive(string server)
        {
            return "ws" + server.TrimEnd('/').Substring("http".Length) + "/v1/tts/stream";
        }

        static void Add(StringBuilder url, string name, string value)
        {
            if (!string.IsNullOrEmpty(value))
                url.Append('&').Append(name).Append('=').Append(Uri.EscapeDataString(value));
        }
    }
}
