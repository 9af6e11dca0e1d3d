package auth

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
)

// claims are those that mean something here, and all of them as JSON.
type claims struct {
	expires   float64 // +Inf without one
	notBefore float64 // -Inf without one
	mode      string
	hasMode   bool
	channels  []string
	echo      bool
	issuer    string   // read when the rules have one
	audience  []string // read when the rules have one
	all       string
}

// read reads a token's payload by the rules. What means something must be of the
// right type; the first fault, in this order, is told.
func (c *claims) read(r *Rules, payload []byte) (err error) {
	members, ok := parseObject(payload)
	if !ok {
		return errors.New("the token's claims are not a JSON object")
	}
	if c.expires, err = members.claim("exp").number(math.Inf(1)); err != nil {
		return err
	}
	if c.notBefore, err = members.claim("nbf").number(math.Inf(-1)); err != nil {
		return err
	}
	if c.mode, c.hasMode, err = r.mode(members); err != nil {
		return err
	}
	if c.channels, err = r.channels(members); err != nil {
		return err
	}
	if c.echo, err = members.claim("echo").boolean(true); err != nil {
		return err
	}
	if r.Issuer != "" {
		if c.issuer, _, err = members.claim("iss").text(); err != nil {
			return err
		}
	}
	if r.Audience != "" {
		if c.audience, err = members.claim("aud").textOrTexts(); err != nil {
			return err
		}
	}
	c.all = members.without("message_delivered_at")
	return nil
}

func (r *Rules) mode(members object) (mode string, ok bool, err error) {
	if r.ModePath.isZero() {
		return members.claim("mode").text()
	}
	mapped, err := members.at(r.ModePath)
	if err != nil {
		return "", false, err
	}
	return mapped.text()
}

// channels returns the names in the order in which they stand, doubled ones too.
func (r *Rules) channels(members object) ([]string, error) {
	if !r.ChannelsPath.isZero() {
		mapped, err := members.at(r.ChannelsPath)
		if err != nil {
			return nil, err
		}
		return mapped.textOrTexts()
	}
	first, ok, err := members.claim("channel").text()
	if err != nil {
		return nil, err
	}
	channels, err := members.claim("channels").texts()
	if err != nil || !ok {
		return channels, err
	}
	return append([]string{first}, channels...), nil
}

// A claim is a value in a token, and what errors call it.
type claim struct {
	name  string
	value string // compact JSON; empty: absent or null
}

func (c claim) text() (text string, ok bool, err error) {
	if c.value == "" {
		return "", false, nil
	}
	if text, ok = textOf(c.value); !ok {
		return "", false, c.wrongType()
	}
	return text, true, nil
}

// texts reads a list of strings.
func (c claim) texts() (texts []string, err error) {
	if c.value == "" {
		return nil, nil
	}
	if c.value[0] != '[' {
		return nil, c.wrongType()
	}
	gjson.Parse(c.value).ForEach(func(_, element gjson.Result) bool {
		text, ok := textOf(element.Raw)
		if !ok {
			err = c.wrongType()
		}
		texts = append(texts, text)
		return ok
	})
	return texts, err
}

// textOrTexts reads a string as a list of one.
func (c claim) textOrTexts() ([]string, error) {
	if c.value == "" || c.value[0] == '[' {
		return c.texts()
	}
	text, _, err := c.text()
	if err != nil {
		return nil, err
	}
	return []string{text}, nil
}

func (c claim) number(absent float64) (float64, error) {
	if c.value == "" {
		return absent, nil
	}
	number, err := strconv.ParseFloat(c.value, 64)
	if err != nil {
		return 0, c.wrongType()
	}
	return number, nil
}

func (c claim) boolean(absent bool) (bool, error) {
	switch c.value {
	case "":
		return absent, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, c.wrongType()
}

func (c claim) wrongType() error { return fmt.Errorf("claim %q has the wrong type", c.name) }

// maxSeconds is the last second of the year 9999: what expires later never does.
const maxSeconds = 253402300799

// timeOf turns a NumericDate (RFC 7519, section 2) into a time; dates beyond the
// years that a time can show are clamped.
func timeOf(seconds float64) time.Time {
	seconds = min(max(seconds, -maxSeconds), maxSeconds)
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9))
}
