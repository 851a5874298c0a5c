using System;

namespace Vivavoce
{
    /// <summary>The samples of a 16-bit PCM WAV file. Knows nothing of Unity.</summary>
    public sealed class WavFile
    {
        public readonly int SampleRate;
        public readonly int Channels;

        /// <summary>Interleaved, in [-1, 1).</summary>
        public readonly float[] Samples;

        WavFile(int sampleRate, int channels, float[] samples)
        {
            SampleRate = sampleRate;
            Channels = channels;
            Samples = samples;
        }

        /// <summary>Reads a whole file. A data size beyond its end, as a streamed file has it, means "to the end".</summary>
        /// <exception cref="FormatException">It is not a WAV file of 16-bit PCM.</exception>
        public static WavFile Parse(byte[] file)
        {
            if (file.Length < 12 || !Is(file, 0, "RIFF") || !Is(file, 8, "WAVE"))
                throw new FormatException("this is no WAV file: it does not begin with RIFF … WAVE");
            int channels = 0, rate = 0;
            long at = 12;
            while (at + 8 <= file.Length)
            {
                long size = BitConverter.ToUInt32(file, (int)at + 4), start = at + 8;
                if (Is(file, (int)at, "fmt ") && start + 16 <= file.Length)
                {
                    int format = BitConverter.ToUInt16(file, (int)start), bits = BitConverter.ToUInt16(file, (int)start + 14);
                    if (format != 1 || bits != 16)
                        throw new FormatException($"this WAV file has format {format} with {bits} bits: ask for 16-bit PCM");
                    channels = BitConverter.ToUInt16(file, (int)start + 2);
                    rate = (int)BitConverter.ToUInt32(file, (int)start + 4);
                }
                else if (Is(file, (int)at, "data"))
                {
                    if (channels == 0)
                        throw new FormatException("this WAV file has its data before its format");
                    int count = (int)(Math.Min(size, file.Length - start) / 2);
                    var samples = new float[count];
                    Pcm16.ToFloat(file, (int)start, count, samples, 0);
                    return new WavFile(rate, channels, samples);
                }
                at = start + size + (size & 1); // chunks begin at even places
            }
            throw new FormatException("this WAV file has no data");
        }

        static bool Is(byte[] file, int at, string name)
        {
            for (int i = 0; i < 4; i++)
                if (file[at + i] != name[i])
                    return false;
            return true;
        }
    }
}
