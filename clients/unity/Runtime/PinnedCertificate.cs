using System;
using System.Security.Cryptography;
using UnityEngine.Networking;

namespace Vivavoce
{
    /// <summary>Trusts one certificate: the one whose SHA-256 `vivavoce serve --tls-self-signed` prints.</summary>
    public sealed class PinnedCertificate : CertificateHandler
    {
        readonly string wanted;

        public PinnedCertificate(string sha256)
        {
            wanted = sha256.Replace(":", "").Trim().ToLowerInvariant();
        }

        /// <summary>What a request needs to trust, or null where the system's own certificates are enough.</summary>
        public static PinnedCertificate OrNull(string sha256)
        {
            return string.IsNullOrWhiteSpace(sha256) ? null : new PinnedCertificate(sha256);
        }

        protected override bool ValidateCertificate(byte[] certificateData)
        {
            using (var hash = SHA256.Create())
                return BitConverter.ToString(hash.ComputeHash(certificateData)).Replace("-", "").ToLowerInvariant() == wanted;
        }
    }
}
