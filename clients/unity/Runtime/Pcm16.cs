namespace Vivavoce
{
    /// <summary>16-bit little-endian samples as floats. Knows nothing of Unity.</summary>
    public sealed class Pcm16
    {
        byte low;
        bool half; // whether a sample's first byte came at the end of the last chunk

        /// <summary>Turns `count` samples from byte `from` on into floats in [-1, 1).</summary>
        public static void ToFloat(byte[] bytes, int from, int count, float[] samples, int to)
        {
            for (int i = 0; i < count; i++)
                samples[to + i] = Sample(bytes[from + 2 * i], bytes[from + 2 * i + 1]);
        }

        /// <summary>The samples of the next chunk of a stream, whose chunks may end inside a sample.</summary>
        public float[] Read(byte[] chunk, int length)
        {
            var samples = new float[(length + (half ? 1 : 0)) / 2];
            int at = 0, done = 0;
            if (half && length > 0)
            {
                samples[done++] = Sample(low, chunk[at++]);
                half = false;
            }
            int whole = (length - at) / 2;
            ToFloat(chunk, at, whole, samples, done);
            at += 2 * whole;
            if (at < length)
            {
                low = chunk[at];
                half = true;
            }
            return samples;
        }

        static float Sample(byte low, byte high)
        {
            return (short)(low | high << 8) / 32768f;
        }
    }
}
