using System;
using System.IO;
using System.Linq;
using System.Threading;
using Vivavoce;

/// <summary>
/// What test_unity_live.py runs: speaks the lines of standard input while they come, and prints what becomes of them.
/// A line is text, or a command: !flush, !end, !interrupt MS.
/// </summary>
static class Live
{
    static int Main(string[] arguments)
    {
        var samples = new MemoryStream();
        Action<float[]> onSamples = some =>
        {
            lock (samples)
                samples.Write(some.SelectMany(BitConverter.GetBytes).ToArray(), 0, 4 * some.Length);
        };
        try
        {
            using (var speech = new LiveSpeech(arguments[0], onSamples, arguments[2], "English", 1.25f, arguments[3]))
            {
                for (string line = Console.ReadLine(); line != null; line = Console.ReadLine())
                    Obey(speech, line.Split(' '), line);
                if (!speech.Completion.Wait(TimeSpan.FromSeconds(30)))
                    throw new TimeoutException("the text does not end");
            }
        }
        catch (AggregateException problem) when (problem.InnerException is SpeechException)
        {
            Console.Error.WriteLine(problem.InnerException.Message);
            return 1;
        }
        lock (samples)
            File.WriteAllBytes(arguments[1], samples.ToArray());
        return 0;
    }

    static void Obey(LiveSpeech speech, string[] words, string line)
    {
        switch (words[0])
        {
            case "!flush":
                speech.Flush().Wait();
                Console.WriteLine("flushed");
                break;
            case "!end":
                speech.End().Wait();
                break;
            case "!interrupt":
                var told = speech.Interrupt(double.Parse(words[1])).Result;
                Console.WriteLine(told == null ? "unknown" : told.Heard + "|" + told.Unheard);
                break;
            default:
                speech.Write(line);
                break;
        }
    }
}
