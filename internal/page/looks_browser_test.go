package page_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"pgws/internal/page/browsertest"
)

func TestKeyboardAlone(t *testing.T) {
	t.Parallel()
	p := browsertest.OpenDemo(t, newRelay(t).URL)
	focused := func() string {
		return browsertest.Eval[string](p, `document.activeElement.id || document.activeElement.className`)
	}
	p.Press("\t")
	p.Want(`document.activeElement.className === "skip" && document.activeElement.getBoundingClientRect().top >= 0`)
	p.Press("\r")
	if got := focused(); got != "text" {
		t.Fatalf("the skip link leads to %q, want text", got)
	}
	p.Press("typed only", "\r")
	p.WaitNewest("typed only")

	p.Do(chromedp.Reload())
	p.WaitState("chat", "open")
	var stops []string
	for range 25 {
		p.Press("\t")
		stops = append(stops, focused())
		p.Want(`document.activeElement === document.body || getComputedStyle(document.activeElement).outlineStyle === "solid"`)
	}
	want := []string{
		"skip", "theme", "join-channel", "join", "view-all", "channel-view quiet", "channel-leave quiet",
		"clear", "messages", "send-to", "text", "send",
	}
	if diff := cmp.Diff(want, stops[:len(want)]); diff != "" {
		t.Errorf("Tab stops (-want +got):\n%s", diff)
	}
	for _, id := range []string{"claims", "claims-apply", "preset-receive", "events"} {
		if !slices.Contains(stops, id) {
			t.Errorf("Tab does not reach #%s: %v", id, stops)
		}
	}

	browsertest.Eval[bool](p, `(document.querySelector("#join-channel").focus(), true)`)
	p.Press("orders", "\r")
	p.WaitState("orders", "open")
}

func TestThemes(t *testing.T) {
	t.Parallel()
	p := browsertest.OpenDemo(t, newRelay(t).URL)
	const background = `getComputedStyle(document.body).backgroundColor`
	p.Theme("light")
	light := browsertest.Eval[string](p, background)
	p.Theme("dark")
	dark := browsertest.Eval[string](p, background)
	if light == dark {
		t.Fatalf("both themes have the background %s", light)
	}
	p.Wait(`document.querySelector("#theme").textContent === "Light theme"`)
	p.Click("#theme")
	if got := browsertest.Eval[string](p, background); got != light {
		t.Errorf("the button gives the background %s, want %s", got, light)
	}
	p.Do(chromedp.Reload())
	if got := browsertest.Eval[string](p, background); got != light {
		t.Errorf("the choice is forgotten: background %s, want %s", got, light)
	}
}

// WCAG 2 asks for a contrast of 4.5 between text and what it stands on.
func TestContrast(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := browsertest.OpenDemo(t, r.URL)
	p.Join(forbiddenChannel)
	p.WaitState(forbiddenChannel, "closed")
	p.Choose("#send-to", "chat")
	p.Send("hello")
	p.WaitNewest("hello")
	r.gap("chat")
	p.Wait(notice("chat", "gap: messages may have been missed"))
	look := func(when string) {
		for _, theme := range []string{"light", "dark"} {
			p.Theme(theme)
			p.Picture("contrast-" + when + "-" + theme)
			if got := browsertest.Eval[[]string](p, lowContrast); len(got) > 0 {
				t.Errorf("%s, %s: text of low contrast:\n%s", when, theme, strings.Join(got, "\n"))
			}
		}
	}
	look("open")
	r.end(3003, "not any more")
	p.WaitState("chat", "closed")
	look("closed")
}

// lowContrast lists the elements whose own text has a contrast under 4.5. A canvas turns any CSS colour into sRGB.
const lowContrast = `(() => {
	const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const rgb = (color) => {
		canvas.clearRect(0, 0, 1, 1);
		canvas.fillStyle = color;
		canvas.fillRect(0, 0, 1, 1);
		return canvas.getImageData(0, 0, 1, 1).data;
	};
	const luminance = (color) => {
		const [r, g, b] = [...rgb(color)].map((c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const ground = (e) => {
		const color = getComputedStyle(e).backgroundColor;
		return rgb(color)[3] === 0 ? ground(e.parentElement) : color;
	};
	const low = [];
	for (const e of document.body.querySelectorAll("*")) {
		const written = [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
		if (!written || !e.checkVisibility()) continue;
		const [a, b] = [luminance(getComputedStyle(e).color), luminance(ground(e))].sort((x, y) => y - x);
		const contrast = (a + 0.05) / (b + 0.05);
		if (contrast < 4.5) low.push(contrast.toFixed(2) + " " + e.outerHTML.slice(0, 120));
	}
	return low;
})()`

func TestNarrowScreens(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := browsertest.OpenDemo(t, r.URL)
	long := strings.Repeat("unbroken", 200)
	p.Join(long[:200])
	p.Wait(`document.querySelectorAll("#channels [data-state=open]").length === 2`)
	r.message("WebsocketMessage", "chat", long, map[string]any{"sub": long, "scope": long})
	r.message(long, metaChannel, long, map[string]any{"sub": long})
	p.WaitNewest(long)
	p.Wait(`document.querySelectorAll("#events li").length === 2`)
	p.Click("#messages article:last-child summary")
	for _, width := range []int64{320, 390, 700, 900, 1280, 1920} {
		p.Size(width, 844, 1)
		if got := browsertest.Eval[int64](p, `document.documentElement.scrollWidth`); got > width {
			t.Errorf("at %d px the page is %d px wide", width, got)
		}
	}
}

// Every control and landmark says what it is to a screen reader.
func TestAccessibleNames(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	p := browsertest.OpenDemo(t, r.URL)
	p.Send("hello")
	p.WaitNewest("hello")
	tree, err := chromedp.Run(p.Ctx, func(ctx context.Context, target *chromedp.Target) (accessibility.GetFullAXTreeResult, error) {
		return cdp.Call(ctx, target, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	})
	if err != nil {
		t.Fatalf("reading the accessibility tree: %v", err)
	}
	named := []string{"button", "textbox", "combobox", "link", "log", "region", "complementary", "heading", "list"}
	seen := map[string]int{}
	for _, node := range tree.Nodes {
		var role, name string
		if node.Ignored || node.Role == nil || node.Name == nil || json.Unmarshal(node.Role.Value, &role) != nil || json.Unmarshal(node.Name.Value, &name) != nil {
			continue
		}
		seen[role]++
		if slices.Contains(named, role) && name == "" && role != "list" {
			t.Errorf("a %s has no name: %s", role, fmt.Sprint(node.Properties))
		}
	}
	for _, role := range []string{"main", "banner", "region", "log", "complementary", "button"} {
		if seen[role] == 0 {
			t.Errorf("the page has no %s: %v", role, seen)
		}
	}
}
