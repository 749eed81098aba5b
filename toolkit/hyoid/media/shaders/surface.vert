#version 330 core
// SPDX-License-Identifier: Apache-2.0
// Positions and normals come skinned, in metres, model axes.
layout(location = 0) in vec3 position;
layout(location = 1) in vec3 normal;
layout(location = 2) in vec2 uv;
layout(location = 3) in vec2 occlusion;  // open sky 0..1 with the mouth closed and open

uniform mat4 view_projection;
uniform mat4 shadow_matrix;
uniform float mouth;

out vec3 point;
out vec3 normal_smooth;
out vec2 place;
out float sky;
out vec3 shadow_place;

void main() {
    point = position;
    normal_smooth = normal;
    place = uv;
    sky = mix(occlusion.x, occlusion.y, mouth);
    // Move along the normal before the look-up: no acne, no visible bias.
    vec4 s = shadow_matrix * vec4(position + 0.0012 * normal, 1.0);
    shadow_place = s.xyz * 0.5 + 0.5;
    gl_Position = view_projection * vec4(position, 1.0);
}
