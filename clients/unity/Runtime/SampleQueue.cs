using System;

namespace Vivavoce
{
    /// <summary>
    /// A ring of samples between a download and the audio thread, which may use it at the same time. Knows nothing of Unity.
    /// </summary>
    public sealed class SampleQueue
    {
        readonly object gate = new object();
        float[] ring;
        int head;
        int count;
        bool complete;

        public SampleQueue(int capacity)
        {
            ring = new float[Math.Max(1, capacity)];
        }

        /// <summary>Samples that wait to be heard.</summary>
        public int Count
        {
            get { lock (gate) return count; }
        }

        /// <summary>Whether all that will ever come has been read.</summary>
        public bool Drained
        {
            get { lock (gate) return complete && count == 0; }
        }

        /// <summary>Adds all of `samples`; the ring grows rather than lose speech that came faster than it is heard.</summary>
        public void Write(float[] samples)
        {
            lock (gate)
            {
                if (count + samples.Length > ring.Length)
                    Grow(count + samples.Length);
                int tail = (head + count) % ring.Length;
                int first = Math.Min(samples.Length, ring.Length - tail);
                Array.Copy(samples, 0, ring, tail, first);
                Array.Copy(samples, first, ring, 0, samples.Length - first);
                count += samples.Length;
            }
        }

        /// <summary>Fills `target`, with silence where nothing has come yet; returns how many samples are speech.</summary>
        public int Read(float[] target)
        {
            lock (gate)
            {
                int taken = Math.Min(target.Length, count);
                int first = Math.Min(taken, ring.Length - head);
                Array.Copy(ring, head, target, 0, first);
                Array.Copy(ring, 0, target, first, taken - first);
                Array.Clear(target, taken, target.Length - taken);
                head = (head + taken) % ring.Length;
                count -= taken;
                return taken;
            }
        }

        /// <summary>Tells that nothing more will come.</summary>
        public void Complete()
        {
            lock (gate) complete = true;
        }

        /// <summary>Forgets what waits, and that nothing more will come.</summary>
        public void Clear()
        {
            lock (gate)
            {
                head = count = 0;
                complete = false;
            }
        }

        void Grow(int wanted)
        {
            var larger = new float[Math.Max(wanted, 2 * ring.Length)];
            int first = Math.Min(count, ring.Length - head);
            Array.Copy(ring, head, larger, 0, first);
            Array.Copy(ring, 0, larger, first, count - first);
            ring = larger;
            head = 0;
        }
    }
}
