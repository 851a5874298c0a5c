using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Vivavoce
{
    /// <summary>Reads and writes JSON, which .NET in Unity cannot. Knows nothing of Unity.</summary>
    public sealed class Json
    {
        readonly string text;
        int at;

        Json(string text)
        {
            this.text = text;
        }

        /// <summary>Reads an object. Values are Dictionary, List, string, double, bool or null.</summary>
        public static Dictionary<string, object> Parse(string text)
        {
            var json = new Json(text);
            var value = json.Value() as Dictionary<string, object>;
            if (value == null || json.Peek() != '\0')
                throw new FormatException("this is no JSON object");
            return value;
        }

        /// <summary>Writes a string, with its quotes.</summary>
        public static string Quote(string text)
        {
            var quoted = new StringBuilder("\"");
            foreach (char c in text)
            {
                if (c < ' ' || c == '"' || c == '\\' || char.IsSurrogate(c))
                    quoted.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture));
                else
                    quoted.Append(c);
            }
            return quoted.Append('"').ToString();
        }

        object Value()
        {
            switch (Peek())
            {
                case '{': return Object();
                case '[': return List();
                case '"': return String();
                default: return Other();
            }
        }

        Dictionary<string, object> Object()
        {
            var found = new Dictionary<string, object>();
            Take('{');
            for (bool more = !Took('}'); more; more = !Ended('}'))
            {
                string name = String();
                Take(':');
                found[name] = Value();
            }
            return found;
        }

        List<object> List()
        {
            var found = new List<object>();
            Take('[');
            for (bool more = !Took(']'); more; more = !Ended(']'))
                found.Add(Value());
            return found;
        }

        string String()
        {
            var found = new StringBuilder();
            Take('"');
            for (char c = Next(); c != '"'; c = Next())
                found.Append(c == '\\' ? Escaped() : c);
            return found.ToString();
        }

        char Escaped()
        {
            char c = Next();
            if (c != 'u')
                return "bfnrt".IndexOf(c) < 0 ? c : "\b\f\n\r\t"["bfnrt".IndexOf(c)];
            if (at + 4 > text.Length)
                throw new FormatException("JSON ends within a character");
            at += 4;
            return (char)ushort.Parse(text.Substring(at - 4, 4), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        }

        object Other()
        {
            int start = at;
            while (at < text.Length && ",]} \t\r\n".IndexOf(text[at]) < 0)
                at++;
            string word = text.Substring(start, at - start);
            switch (word)
            {
                case "true": return true;
                case "false": return false;
                case "null": return null;
                default: return double.Parse(word, NumberStyles.Float, CultureInfo.InvariantCulture);
            }
        }

        bool Ended(char end)
        {
            if (Took(end))
                return true;
            Take(',');
            return false;
        }

        bool Took(char wanted)
        {
            if (Peek() != wanted)
                return false;
            at++;
            return true;
        }

        void Take(char wanted)
        {
            if (!Took(wanted))
                throw new FormatException($"JSON has no {wanted} at {at}");
        }

        char Peek()
        {
            while (at < text.Length && " \t\r\n".IndexOf(text[at]) >= 0)
                at++;
            return at < text.Length ? text[at] : '\0';
        }

        char Next()
        {
            if (at >= text.Length)
                throw new FormatException("JSON ends within a string");
            return text[at++];
        }
    }
}
