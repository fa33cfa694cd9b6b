// Package golden walks the golden path in a browser, as a person does: signs in, asks
// for an endpoint and looks at what became of it.
package golden

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// names of the browser's program, as distributions have them.
var names = []string{"chromium", "chromium-browser", "google-chrome"}

// Program is the path of a browser; the error says what to install.
func Program() (string, error) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is no browser in PATH (%s): install chromium", strings.Join(names, ", "))
}

// Browser is one that somebody sits at.
type Browser struct {
	ctx context.Context
	// pictures is the folder for them; empty takes none.
	pictures string
	ends     []func()
}

// Start opens a browser that believes these servers, once they have shown what the
// authority, in PEM form, signed.
func Start(ctx context.Context, authority, pictures string, servers ...string) (*Browser, error) {
	program, err := Program()
	if err != nil {
		return nil, err
	}
	var trusted []string
	for _, server := range servers {
		fingerprint, err := shown(ctx, server, authority)
		if err != nil {
			return nil, fmt.Errorf("the certificate of %s: %w", server, err)
		}
		trusted = append(trusted, fingerprint)
	}
	b := &Browser{pictures: pictures}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.WindowSize(1280, 800),
		// Its own sandbox does not work as root; it looks at nothing but the platform.
		chromedp.NoSandbox,
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("ignore-certificate-errors-spki-list", strings.Join(trusted, ",")),
	)
	allocated, end := chromedp.NewExecAllocator(ctx, options...)
	b.ends = append(b.ends, end)
	b.ctx, end = chromedp.NewContext(allocated)
	b.ends = append(b.ends, end)
	if err := chromedp.Run(b.ctx); err != nil {
		b.Close()
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return b, nil
}

// shown is the fingerprint, as Chromium writes it, of the key whose certificate a
// server shows, which the authority has to have signed for its address.
func shown(ctx context.Context, server, authority string) (string, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(authority)) {
		return "", errors.New("the authority is no certificate in PEM form")
	}
	u, err := url.Parse(server)
	if err != nil {
		return "", err
	}
	conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	sum := sha256.Sum256(conn.(*tls.Conn).ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}

// Close ends it.
func (b *Browser) Close() {
	for i := len(b.ends) - 1; i >= 0; i-- {
		b.ends[i]()
	}
}

// do runs actions in the window; the error says what they were for and what
// was seen then.
func (b *Browser) do(what string, actions ...chromedp.Action) error {
	return b.within(time.Minute, what, actions...)
}

func (b *Browser) within(limit time.Duration, what string, actions ...chromedp.Action) error {
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		return fmt.Errorf("%s: %w; the page says %q", what, err, says(b.ctx))
	}
	return nil
}

// await evaluates an expression until it is true; pages may come and go meanwhile.
func (b *Browser) await(limit time.Duration, what, expression string) error {
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	for {
		var holds bool
		err := chromedp.Run(ctx, chromedp.Evaluate(expression, &holds))
		switch {
		case holds:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w; the page says %q", what, errors.Join(ctx.Err(), err), says(b.ctx))
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// says is what a window shows, shortened.
func says(window context.Context) string {
	ctx, cancel := context.WithTimeout(window, 5*time.Second)
	defer cancel()
	var text string
	if err := chromedp.Run(ctx, chromedp.Evaluate(`document.location + " " + document.body.innerText`, &text)); err != nil {
		return err.Error()
	}
	return shortened(text)
}

func shortened(text string) string {
	const most = 1500
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// Picture keeps what is seen as NAME.png.
func (b *Browser) Picture(name string) error {
	if b.pictures == "" || name == "" {
		return nil
	}
	var png []byte
	settled := chromedp.ActionFunc(func(ctx context.Context) error {
		// What moves while a page opens stands still.
		return chromedp.Evaluate(`Promise.all(document.getAnimations().map(a => a.finished.catch(() => {})))`, nil,
			chromedp.EvalAsValue).Do(ctx)
	})
	shoot := chromedp.ActionFunc(func(ctx context.Context) (err error) {
		png, err = page.CaptureScreenshot().WithFormat(page.CaptureScreenshotFormatPng).Do(ctx)
		return err
	})
	if err := b.do("take the picture "+name, settled, shoot); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.pictures, name+".png"), png, 0o644)
}

// text selects what has a text.
func text(element, says string) string {
	return fmt.Sprintf(`//%s[contains(normalize-space(.), %q)]`, element, says)
}

// having selects what has a text itself, and not around it.
func having(says string) string {
	return fmt.Sprintf(`//*[text()[contains(normalize-space(.), %q)]]`, says)
}

// SignIn signs somebody in to the portal by the forge's pages. The portal opens these in
// a window of their own; they are looked at in this one first, and the window finds
// whom the forge knows already and closes.
func (b *Browser) SignIn(portal, account, password string) error {
	button := text("button", "Sign In")
	if err := b.do("open the portal", chromedp.Navigate(portal), chromedp.WaitVisible(button)); err != nil {
		return err
	}
	err := b.do("sign in at the forge",
		chromedp.Navigate(portal+"/api/auth/gitea/start?env=production&origin="+url.QueryEscape(portal)),
		chromedp.WaitVisible(`#user_name`, chromedp.ByQuery),
		chromedp.SendKeys(`#user_name`, account, chromedp.ByQuery), chromedp.SendKeys(`#password`, password+"\r", chromedp.ByQuery))
	if err != nil {
		return err
	}
	// The forge asks once whether the portal may act for somebody.
	back := fmt.Sprintf(`location.href.startsWith(%q)`, portal)
	granting := `(b => { if (b) b.click() })(document.querySelector("#authorize-app")), ` + back
	if err := b.await(time.Minute, "let the portal act", granting); err != nil {
		return err
	}
	return b.do("be signed in", chromedp.Navigate(portal), chromedp.WaitVisible(button), chromedp.Click(button),
		chromedp.WaitVisible(having("Sign out")))
}

// Wish is what somebody asks for in the form.
type Wish struct{ Name, StorageURI string }

// Propose fills the form, and returns the address of the pull request. Refused is a
// name that it must not take.
func (b *Browser) Propose(portal, refused string, w Wish) (string, error) {
	next := `//button[@type="submit"]`
	name, uri := `#root_name`, `#root_storageUri`
	err := b.do("open the form", chromedp.Navigate(portal+"/create/templates/default/kserve-model-endpoint"), chromedp.WaitVisible(name, chromedp.ByQuery))
	if err != nil {
		return "", err
	}
	err = b.do("write a name that is none",
		chromedp.SendKeys(name, refused, chromedp.ByQuery), chromedp.SendKeys(uri, w.StorageURI, chromedp.ByQuery), chromedp.Click(next),
		chromedp.WaitVisible(having("must match pattern")))
	if err != nil {
		return "", err
	}
	if err := b.Picture("portal-refused"); err != nil {
		return "", err
	}
	err = b.do("write a name", chromedp.SendKeys(name, kb.End+strings.Repeat(kb.Backspace, len(refused))+w.Name, chromedp.ByQuery))
	if err != nil {
		return "", err
	}
	if err := b.Picture("portal-form"); err != nil {
		return "", err
	}
	if err := b.do("go on to the size", chromedp.Click(next), chromedp.WaitVisible(`#root_maxReplicas`, chromedp.ByQuery)); err != nil {
		return "", err
	}
	link := text("a", "Pull request")
	var at string
	var there bool
	err = b.do("submit", chromedp.Click(next), chromedp.WaitVisible(text("button", "Create")), chromedp.Click(text("button", "Create")),
		chromedp.WaitVisible(link), chromedp.AttributeValue(link, "href", &at, &there))
	return at, err
}

// tall shows what of a page is worth a picture.
var tall = chromedp.EmulateViewport(1280, 1150)

// Look opens a page, again and again until it says something or a minute is over, and
// keeps a picture of it.
func (b *Browser) Look(at, says, picture string) error {
	var err error
	for begun := time.Now(); time.Since(begun) < time.Minute; {
		if err = b.within(10*time.Second, "look at "+at, tall, chromedp.Navigate(at)); err != nil {
			continue
		}
		// What a page has and does not show is not in this text.
		seen := fmt.Sprintf(`document.body.innerText.includes(%q)`, says)
		if err = b.await(8*time.Second, fmt.Sprintf("see %q at %s", says, at), seen); err == nil {
			return b.Picture(picture)
		}
	}
	return err
}

// Try asks the endpoint whose page is open for a prediction, and keeps a picture of
// the answer.
func (b *Browser) Try(picture string) error {
	err := b.do("try the endpoint", chromedp.EmulateViewport(1280, 1650), chromedp.Click(text("button", "Ask")), chromedp.WaitVisible(text("pre", "predictions")))
	if err != nil {
		return err
	}
	return b.Picture(picture)
}

// Plots opens a page of dashboards, waits until it has drawn some and keeps a picture.
func (b *Browser) Plots(at, picture string) error {
	err := b.within(10*time.Second, "look at "+at, chromedp.EmulateViewport(1280, 1100), chromedp.Navigate(at))
	if err != nil {
		return err
	}
	if err := b.await(time.Minute, "see plots at "+at, `Number(document.body.dataset.drawn) >= 5 && document.querySelectorAll("canvas").length >= 5`); err != nil {
		return err
	}
	return b.Picture(picture)
}
