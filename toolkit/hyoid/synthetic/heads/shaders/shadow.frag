#version 330 core
// SPDX-License-Identifier: Apache-2.0
in vec2 kept;
void main() {
    // lashes, brows and lenses cast nothing, nor does what is cut away
    if ((kept.y > 3.5 && kept.y < 5.5) || kept.y > 8.5 || (kept.y > 5.5 && kept.x < 0.05)) discard;
}
