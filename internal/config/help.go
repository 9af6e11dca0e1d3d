package config

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// helpWidth is the width of a terminal that help texts are made for.
const helpWidth = 80

// WriteHelp writes every setting with its default and meaning.
func WriteHelp(w io.Writer) error {
	var b strings.Builder
	b.WriteString("\nVariables:\n")
	for _, s := range Settings {
		b.WriteString("  " + s.Name)
		switch {
		case s.Required:
			b.WriteString("  (required)")
		case s.Default != "":
			b.WriteString("  (default " + s.Default + ")")
		}
		b.WriteByte('\n')
		wrap(&b, s.Doc, "      ")
	}
	_, err := fmt.Fprint(w, b.String())
	return err
}

// wrap writes text in lines that fit a terminal, each after indent.
func wrap(b *strings.Builder, text, indent string) {
	width := 0
	for word := range strings.FieldsSeq(text) {
		length := utf8.RuneCountInString(word)
		if width > 0 && width+1+length > helpWidth {
			b.WriteByte('\n')
			width = 0
		}
		if width == 0 {
			b.WriteString(indent)
			width = len(indent)
		} else {
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += length
	}
	b.WriteByte('\n')
}
