// Package backup keeps in one file what a platform cannot make again: the forge with
// all that was merged and everybody's account, and the secrets that belong to it. The
// file is encrypted by age (scrypt, ChaCha20-Poly1305) with a passphrase; nothing of
// it ever lies on a disk in clear text.
package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"filippo.io/age"
)

// MinPassphrase is how many characters a passphrase has at least.
const MinPassphrase = 12

// format of the files that are written; others are refused.
const format = 1

// workFactor of scrypt: about a second, which is what every guess costs, too.
var workFactor = 18

// Names in the archive, in their order. What is in the forge's data folder follows
// below forgeFolder.
const (
	manifestFile = "manifest.json"
	secretsFile  = "secrets.json"
	forgeFolder  = "forge/"
	database     = forgeFolder + "data/gitea.db"
)

// Manifest says what a backup is of.
type Manifest struct {
	Format int `json:"format"`
	// Stack it was made of, at a time.
	Stack   string    `json:"stack"`
	Created time.Time `json:"created"`
	// Organization of the forge that owns the repositories.
	Organization string `json:"organization"`
	// Forge is the image the forge ran.
	Forge string `json:"forge"`
}

// Errors that Read's may be tested for.
var (
	// ErrPassphrase means that another passphrase opens it.
	ErrPassphrase = errors.New("the passphrase does not open it")
	// ErrNoBackup means that it is something else, or damaged.
	ErrNoBackup = errors.New("it is no backup, or it is damaged")
)

// CheckPassphrase refuses one that is guessed too soon.
func CheckPassphrase(passphrase string) error {
	if n := len([]rune(passphrase)); n < MinPassphrase {
		return fmt.Errorf("the passphrase of a backup has %d characters: use %d or more, it protects every password of the platform", n, MinPassphrase)
	}
	return nil
}

// Write makes a backup of the stack's secrets and of forge, which is the forge's
// data folder as a tar archive. One whose database is missing is an error.
func Write(w io.Writer, passphrase string, m Manifest, secrets []byte, forge io.Reader) error {
	if err := CheckPassphrase(passphrase); err != nil {
		return err
	}
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return err
	}
	recipient.SetWorkFactor(workFactor)
	sealed, err := age.Encrypt(w, recipient)
	if err != nil {
		return fmt.Errorf("encrypt: %w", err)
	}
	compressed := gzip.NewWriter(sealed)
	out := tar.NewWriter(compressed)
	m.Format = format
	manifest, err := json.Marshal(m)
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name    string
		content []byte
	}{{manifestFile, manifest}, {secretsFile, secrets}} {
		header := &tar.Header{Name: file.name, Mode: 0o600, Size: int64(len(file.content)), ModTime: m.Created, Typeflag: tar.TypeReg}
		if err := copyFile(out, header, bytes.NewReader(file.content)); err != nil {
			return err
		}
	}
	if err := copyForge(out, forge); err != nil {
		return err
	}
	return errors.Join(out.Close(), compressed.Close(), sealed.Close())
}

// Read opens a backup and writes the forge's data folder to forge, as a tar archive.
// Nothing it returns may be used unless the error is nil: only at its end is a file
// known to be whole.
func Read(r io.Reader, passphrase string, forge io.Writer) (Manifest, []byte, error) {
	var m Manifest
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return m, nil, ErrPassphrase
	}
	opened, err := age.Decrypt(r, identity)
	var mismatch *age.NoIdentityMatchError
	switch {
	case errors.As(err, &mismatch):
		return m, nil, ErrPassphrase
	case err != nil:
		return m, nil, fmt.Errorf("%w: %w", ErrNoBackup, err)
	}
	decompressed, err := gzip.NewReader(opened)
	if err != nil {
		return m, nil, fmt.Errorf("%w: %w", ErrNoBackup, err)
	}
	in := tar.NewReader(decompressed)
	manifest, err := named(in, manifestFile)
	if err != nil {
		return m, nil, err
	}
	if err := json.Unmarshal(manifest, &m); err != nil {
		return m, nil, fmt.Errorf("%w: %w", ErrNoBackup, err)
	}
	if m.Format != format {
		return m, nil, fmt.Errorf("it is of format %d, this version reads %d: use the version of neuroscale that made it", m.Format, format)
	}
	secrets, err := named(in, secretsFile)
	if err != nil {
		return m, nil, err
	}
	out := tar.NewWriter(forge)
	if err := copyEntries(out, in, func(name string) (string, error) {
		inside, ok := strings.CutPrefix(name, forgeFolder)
		if !ok {
			return "", fmt.Errorf("%w: %s is in it", ErrNoBackup, name)
		}
		return inside, nil
	}); err != nil {
		return m, nil, err
	}
	// What follows the archive has to be the end of the file.
	if _, err := io.Copy(io.Discard, decompressed); err != nil {
		return m, nil, fmt.Errorf("%w: %w", ErrNoBackup, err)
	}
	return m, secrets, out.Close()
}

// named reads the next entry, which has to have that name.
func named(in *tar.Reader, name string) ([]byte, error) {
	header, err := in.Next()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoBackup, err)
	}
	if header.Name != name {
		return nil, fmt.Errorf("%w: %s is where %s should be", ErrNoBackup, header.Name, name)
	}
	return io.ReadAll(in)
}

// copyForge copies a tar archive of the forge's data folder.
func copyForge(out *tar.Writer, forge io.Reader) error {
	found := false
	err := copyEntries(out, tar.NewReader(forge), func(name string) (string, error) {
		found = found || forgeFolder+name == database
		return forgeFolder + name, nil
	})
	// Behind the archive is padding, and then what its writer has to say at its end.
	if _, rest := io.Copy(io.Discard, forge); err == nil {
		err = rest
	}
	if err != nil {
		return fmt.Errorf("read the forge's data: %w", err)
	}
	if !found {
		return fmt.Errorf("the forge's data have no database: there is no %s", strings.TrimPrefix(database, forgeFolder))
	}
	return nil
}

// copyEntries copies files and folders; anything else, or a path that leads out of
// the folder, is an error.
func copyEntries(out *tar.Writer, in *tar.Reader, rename func(string) (string, error)) error {
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrNoBackup, err)
		}
		name, err := rename(header.Name)
		if err != nil {
			return err
		}
		plain := strings.TrimSuffix(name, "/")
		if path.Clean(plain) != plain || path.IsAbs(plain) || strings.HasPrefix(plain, "..") {
			return fmt.Errorf("%w: the path %q leads out of it", ErrNoBackup, header.Name)
		}
		if header.Typeflag != tar.TypeReg && header.Typeflag != tar.TypeDir {
			return fmt.Errorf("%w: %s is neither a file nor a folder", ErrNoBackup, header.Name)
		}
		kept := &tar.Header{Name: name, Mode: header.Mode, Size: header.Size, ModTime: header.ModTime, Typeflag: header.Typeflag}
		if err := copyFile(out, kept, in); err != nil {
			return err
		}
	}
}

func copyFile(out *tar.Writer, header *tar.Header, content io.Reader) error {
	if err := out.WriteHeader(header); err != nil {
		return fmt.Errorf("write %s: %w", header.Name, err)
	}
	if _, err := io.Copy(out, content); err != nil {
		return fmt.Errorf("write %s: %w", header.Name, err)
	}
	return nil
}
