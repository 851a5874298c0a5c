using System;
using System.IO;
using System.Linq;
using Vivavoce;

/// <summary>What test_unity.py runs: the package's decoders on files, with their samples as 32-bit floats.</summary>
static class Decode
{
    static int Main(string[] arguments)
    {
        try
        {
            switch (arguments[0])
            {
                case "url":
                    Console.WriteLine(SpeechUrl.Of(arguments[1], arguments[2], arguments[3], "", 1.5f, arguments[4], arguments[4] == "pcm"));
                    break;
                case "wav":
                    var wav = WavFile.Parse(File.ReadAllBytes(arguments[1]));
                    Console.WriteLine($"{wav.SampleRate} {wav.Channels}");
                    Save(arguments[2], wav.Samples);
                    break;
                case "pcm":
                    Save(arguments[2], Streamed(File.ReadAllBytes(arguments[1]), int.Parse(arguments[3]), int.Parse(arguments[4])));
                    break;
            }
            return 0;
        }
        catch (FormatException problem)
        {
            Console.Error.WriteLine(problem.Message);
            return 1;
        }
    }

    /// <summary>The bytes in chunks of `size` through a queue, which is read `block` samples at a time, as audio threads do.</summary>
    static float[] Streamed(byte[] bytes, int size, int block)
    {
        var pcm = new Pcm16();
        var queue = new SampleQueue(7);
        var heard = new System.Collections.Generic.List<float>();
        var target = new float[block];
        for (int at = 0; at < bytes.Length; at += size)
        {
            var chunk = bytes.Skip(at).Take(size).ToArray();
            queue.Write(pcm.Read(chunk, chunk.Length));
            if (queue.Count >= block)
                heard.AddRange(target.Take(queue.Read(target)));
        }
        queue.Complete();
        while (!queue.Drained)
            heard.AddRange(target.Take(queue.Read(target)));
        if (queue.Read(target) != 0 || target.Any(sample => sample != 0))
            throw new FormatException("a queue that has ended is not silent");
        queue.Write(new float[] { 1 });
        queue.Clear();
        if (queue.Count != 0 || queue.Drained)
            throw new FormatException("a queue that was cleared is not new");
        return heard.ToArray();
    }

    static void Save(string path, float[] samples)
    {
        File.WriteAllBytes(path, samples.SelectMany(BitConverter.GetBytes).ToArray());
    }
}
