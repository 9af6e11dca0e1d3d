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
)

func TestKeyboardAlone(t *testing.T) {
	t.Parallel()
	p := openDemo(t, newRelay(t, nil))
	focused := func() string {
		return eval[string](p, `document.activeElement.id || document.activeElement.className`)
	}
	p.press("\t")
	p.want(`document.activeElement.className === "skip" && document.activeElement.getBoundingClientRect().top >= 0`)
	p.press("\r")
	if got := focused(); got != "text" {
		t.Fatalf("the skip link leads to %q, want text", got)
	}
	p.press("typed only", "\r")
	p.waitNewest("typed only")

	p.do(chromedp.Reload())
	p.waitState("chat", "open")
	var stops []string
	for range 25 {
		p.press("\t")
		stops = append(stops, focused())
		p.want(`document.activeElement === document.body || getComputedStyle(document.activeElement).outlineStyle === "solid"`)
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

	eval[bool](p, `(document.querySelector("#join-channel").focus(), true)`)
	p.press("orders", "\r")
	p.waitState("orders", "open")
}

func TestThemes(t *testing.T) {
	t.Parallel()
	p := openDemo(t, newRelay(t, nil))
	const background = `getComputedStyle(document.body).backgroundColor`
	p.theme("light")
	light := eval[string](p, background)
	p.theme("dark")
	dark := eval[string](p, background)
	if light == dark {
		t.Fatalf("both themes have the background %s", light)
	}
	p.wait(`document.querySelector("#theme").textContent === "Light theme"`)
	p.click("#theme")
	if got := eval[string](p, background); got != light {
		t.Errorf("the button gives the background %s, want %s", got, light)
	}
	p.do(chromedp.Reload())
	if got := eval[string](p, background); got != light {
		t.Errorf("the choice is forgotten: background %s, want %s", got, light)
	}
}

// WCAG 2 asks for a contrast of 4.5 between text and what it stands on.
func TestContrast(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	p := openDemo(t, r)
	p.join("orders")
	p.waitState("orders", "open")
	p.send("hello")
	p.waitNewest("hello")
	r.end(1009, "too big")
	p.waitState("orders", "closed")
	for _, theme := range []string{"light", "dark"} {
		p.theme(theme)
		if got := eval[[]string](p, lowContrast); len(got) > 0 {
			t.Errorf("%s: text of low contrast:\n%s", theme, strings.Join(got, "\n"))
		}
	}
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
	r := newRelay(t, nil)
	p := openDemo(t, r)
	long := strings.Repeat("unbroken", 200)
	p.join(long[:200])
	p.wait(`document.querySelectorAll("#channels [data-state=open]").length === 2`)
	r.message("WebsocketMessage", "chat", long, map[string]any{"sub": long, "scope": long})
	r.message(long, metaChannel, long, map[string]any{"sub": long})
	p.waitNewest(long)
	p.wait(`document.querySelectorAll("#events li").length === 4`)
	p.click("#messages article:last-child summary")
	for _, width := range []int64{320, 390, 700, 900, 1280, 1920} {
		p.do(chromedp.EmulateViewport(width, 844))
		if got := eval[int64](p, `document.documentElement.scrollWidth`); got > width {
			t.Errorf("at %d px the page is %d px wide", width, got)
		}
	}
}

// Every control and landmark says what it is to a screen reader.
func TestAccessibleNames(t *testing.T) {
	t.Parallel()
	r := newRelay(t, nil)
	p := openDemo(t, r)
	p.send("hello")
	p.waitNewest("hello")
	tree, err := chromedp.Run(p.ctx, func(ctx context.Context, target *chromedp.Target) (accessibility.GetFullAXTreeResult, error) {
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
